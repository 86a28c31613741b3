//! The names that addresses stand for: those that clients were told, and those of fake addresses.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_net::plane::Fake;
use pointsman_policy::Host;
use serde::Deserialize;

use super::Refusal;
use crate::app::App;

/// `?address=192.0.2.1&client=192.168.1.9`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    address: String,
    client: Option<String>,
}

/// `GET /v1/dns/names`: the names that clients were told for an address.
pub(crate) async fn known_names(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
) -> Response {
    let bad = |key: &str, text: &str| {
        let text = format!("`{key}`: `{text}` is no address");
        Refusal(StatusCode::BAD_REQUEST, "bad-address", text).into_response()
    };
    let Ok(address) = asked.address.parse::<IpAddr>() else {
        return bad("address", &asked.address);
    };
    let client = match asked.client.as_deref().map(|text| (text, text.parse())) {
        Some((text, Err(_))) => return bad("client", text),
        Some((_, Ok(client))) => Some(client),
        None => None,
    };
    let known = app.plane.known_names(address, client);
    let of = |client| known.iter().filter(move |it| it.client == client).count();
    let names = known.iter().map(|it| api::KnownName {
        client: it.client.map(|client| client.to_string()),
        name: it.name.to_string(),
        left_s: it.seconds.into(),
        ambiguous: it.doubtful || of(it.client) > 1,
    });
    Json(api::KnownNames {
        address: address.to_string(),
        names: names.collect(),
    })
    .into_response()
}

/// `GET /v1/dns/fake/{name}`: the fake addresses of a name, or the name of such an address.
pub(crate) async fn fake(State(app): State<Arc<App>>, Path(text): Path<String>) -> Response {
    let missing =
        |text: String| Refusal(StatusCode::NOT_FOUND, "no-fake-address", text).into_response();
    let name = match Host::parse(&text) {
        Ok(Host::Address(address)) => match app.plane.fake_name(address) {
            Some(name) => name,
            None => return missing(format!("{address} stands for no name")),
        },
        Ok(Host::Name(name)) => name,
        Err(error) => {
            let text = format!("`{text}` is neither a name nor an address: {error}");
            return Refusal(StatusCode::BAD_REQUEST, "bad-name", text).into_response();
        }
    };
    let Some(Fake { v4, v6 }) = app.plane.fake_addresses(&name) else {
        return missing(format!("{name} has no fake address"));
    };
    Json(api::FakeName {
        name: name.to_string(),
        v4: v4.map(|it| it.to_string()),
        v6: v6.map(|it| it.to_string()),
    })
    .into_response()
}
