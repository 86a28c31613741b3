//! Handlers of names: what the DNS server answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_config::explain::{self, Detail};
use pointsman_config::flow::{NameQuery, kind_of};
use pointsman_net::plane::{NameReply, ReplySource};
use pointsman_policy::{Domain, answered, record_type};
use serde::Deserialize;

use super::Refusal;
use crate::app::App;

/// `?name=forum.example&type=AAAA&client=192.168.1.9`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    client: Option<String>,
}

/// `GET /v1/dns/query`: as a client would ask.
pub(crate) async fn query(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Response {
    let bad = |code, text: String| Refusal(StatusCode::BAD_REQUEST, code, text).into_response();
    let Asked { name, kind, client } = asked;
    let domain = match Domain::parse(&name) {
        Ok(domain) => domain,
        Err(error) => return bad("bad-name", format!("`{name}` is no name: {error}")),
    };
    let kind = match kind.as_deref().map(kind_of).transpose() {
        Ok(kind) => kind,
        Err(error) => return bad("bad-query", error.to_string()),
    };
    let Ok(client) = client.as_deref().map(str::parse::<IpAddr>).transpose() else {
        return bad("bad-client", "`client` is no address".to_owned());
    };
    let mut query = NameQuery {
        client,
        ..NameQuery::of(domain)
    };
    query.kind = kind.unwrap_or(query.kind);
    let in_force = app.in_force();
    let explained = match explain::name(in_force.about(), &query, Detail::Folded) {
        Ok(explained) => explained,
        Err(why) => {
            return Refusal(StatusCode::NOT_FOUND, "no-dns-server", why.to_owned()).into_response();
        }
    };
    let client = client.map(|client| SocketAddr::new(client, 0));
    let begun = Instant::now();
    let Some(reply) = in_force.ask_name(&query.name, query.kind, client).await else {
        let text = "that is no query that can be answered".to_owned();
        return bad("bad-query", text);
    };
    let told = told(explained, &reply, begun.elapsed().as_secs_f64() * 1000.0);
    Json(api::NameExplanation {
        generation: Some(in_force.number().to_string()),
        ..told
    })
    .into_response()
}

/// What was explained, with what came of it.
fn told(explained: api::NameExplanation, reply: &NameReply, ms: f64) -> api::NameExplanation {
    let mut told = api::NameExplanation {
        ms: Some(ms),
        ..explained
    };
    let asks = told.end == "asked";
    if asks {
        let from = match reply.source {
            ReplySource::Cache => "cache",
            ReplySource::Stale => "stale",
            ReplySource::Here => "policy",
            ReplySource::Upstream => "upstream",
        };
        told.from = Some(from.to_owned());
    }
    told.rcode = reply.code.map(answered::print_code);
    let record =
        |(kind, _, text): &(u16, u32, String)| format!("{} {text}", record_type::print(*kind));
    told.answers = reply.answers.iter().map(record).collect();
    let error = reply.error.clone();
    told.ede = error.map(|(code, text)| api::NameError { code, text });
    let blocked = told
        .ede
        .as_ref()
        .filter(|error| asks && error.code == BLOCKED);
    if let Some(error) = blocked {
        told.reason = format!("a rule on answers decided: {}", error.text);
        told.from = Some("policy".to_owned());
    }
    told
}

/// What a rule answers by itself (RFC 8914 §4.16).
const BLOCKED: u16 = 15;
