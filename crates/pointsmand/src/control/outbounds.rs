//! Handlers of outbounds: which there are, and what is selected.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_config::setup::{Carrier, Group, How, Kind, Outbound, Protocol};
use pointsman_policy::OutboundId;
use pointsman_policy::model::OutboundInfo;
use pointsman_policy::model::udp::no_udp;

use super::Refusal;
use crate::app::{App, InForce};

/// `GET /v1/outbounds`
pub(crate) async fn outbounds(State(app): State<Arc<App>>) -> Json<api::OutboundList> {
    Json(api::OutboundList {
        outbounds: states(&app, &app.in_force()),
    })
}

/// `PUT /v1/outbounds/{name}/member`
pub(crate) async fn select(
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    Json(request): Json<api::SelectRequest>,
) -> Response {
    let refuse = |code, text: String| Refusal(StatusCode::NOT_FOUND, code, text).into_response();
    let known = states(&app, &app.in_force());
    let Some(state) = known.into_iter().find(|state| state.name == group) else {
        return refuse(
            "unknown-outbound",
            format!("there is no outbound `{group}`"),
        );
    };
    if state.kind != "select" {
        return refuse(
            "not-a-group",
            format!("`{group}` is of type {}, not a group", state.kind),
        );
    }
    if !state.members.contains(&request.member) {
        let members = state.members.join(", ");
        let text = format!(
            "`{}` is no member of `{group}` (members: {members})",
            request.member
        );
        return refuse("unknown-member", text);
    }
    let not_kept = match app.select(&group, &request.member).await {
        Ok(not_kept) => not_kept,
        Err(error) => return refuse("not-selected", error.to_string()),
    };
    let known = states(&app, &app.in_force());
    let state = known.into_iter().find(|state| state.name == group);
    let state = state.map(|state| api::OutboundState { not_kept, ..state });
    Json(state).into_response()
}

/// The targets of a forward that could not be reached.
fn failing(in_force: &InForce, outbound: &Outbound) -> Vec<api::outbound::Failing> {
    if outbound.kind.balancing().is_none() {
        return Vec::new();
    }
    let failing = in_force.failing(&outbound.name).into_iter();
    failing
        .map(|(target, rest)| api::outbound::Failing {
            target: target.to_string(),
            rests_ms: u64::try_from(rest.left.as_millis()).unwrap_or(u64::MAX),
        })
        .collect()
}

/// The outbounds that rules can name, with the members that are selected now.
pub(super) fn states(app: &App, in_force: &InForce) -> Vec<api::OutboundState> {
    let setup = in_force.about();
    let name_of = |id: &OutboundId| {
        setup
            .outbounds
            .get(id.0 as usize)
            .map_or_else(String::new, |o| o.name.to_string())
    };
    let mut live: HashMap<Arc<str>, u64> = HashMap::new();
    for flow in app.plane.flows() {
        if let Some(outbound) = flow.outbound() {
            *live.entry(outbound).or_default() += 1;
        }
    }
    let infos: Vec<OutboundInfo> = setup.outbounds.iter().map(Outbound::info).collect();
    let by_name: HashMap<&str, OutboundId> = (0..)
        .map(OutboundId)
        .zip(&infos)
        .map(|(id, info)| (&*info.name, id))
        .collect();
    let member_of = |group: OutboundId| {
        let name = in_force.selected(&infos.get(group.0 as usize)?.name)?;
        by_name.get(&*name).copied()
    };
    let state = |(id, outbound): (OutboundId, &Outbound)| {
        let kind = match &outbound.kind {
            Kind::Carry(Carrier::Direct(_)) => "direct",
            Kind::Carry(Carrier::Target(_)) => return None,
            Kind::Carry(Carrier::Upstream(upstream)) => match upstream.protocol {
                Protocol::HttpConnect(_) => "http",
                Protocol::Socks5(_) => "socks5",
            },
            Kind::Choose(Group { how, .. }) => match how {
                How::Balanced(_) => "forward",
                How::Selected { .. } => "select",
            },
            Kind::NotYet { kind, .. } => kind.as_ref(),
            Kind::Refuse(refusal) => refusal.as_str(),
            Kind::Through(_) => "chain",
        };
        let endpoint = outbound.kind.upstream().map(|it| it.server.to_string());
        let members: Vec<String> = match &outbound.kind {
            Kind::Through(hops) => hops.iter().map(name_of).collect(),
            kind => kind.members().iter().map(name_of).collect(),
        };
        let targets = outbound.kind.members().iter();
        let targets = targets.filter_map(|id| match &setup.outbound(*id)?.kind {
            Kind::Carry(Carrier::Target(target)) => Some(target.address.to_string()),
            _ => None,
        });
        let selected = (kind == "select")
            .then(|| in_force.selected(&outbound.name))
            .flatten();
        let uplink = outbound.kind.uplink();
        Some(api::OutboundState {
            name: outbound.name.to_string(),
            aliases: Vec::new(),
            interface: uplink.and_then(|uplink| uplink.interface.clone()),
            source: uplink
                .and_then(|uplink| uplink.source)
                .map(|address| address.to_string()),
            kind: kind.to_owned(),
            declared: outbound.declared.map(str::to_owned),
            endpoint,
            udp: no_udp(&infos, id, &member_of).is_none(),
            selected: selected.map(|name| name.to_string()),
            members,
            targets: targets.collect(),
            failing: failing(in_force, outbound),
            flows: live.get(&*outbound.name).copied().unwrap_or(0),
            not_kept: None,
        })
    };
    let mut states: Vec<api::OutboundState> = Vec::new();
    for (id, outbound) in (0..).map(OutboundId).zip(&setup.outbounds) {
        let Some(state) = state((id, outbound)) else {
            continue;
        };
        // Built-in outbounds have a name for each language: `direct`, `DIRECT`.
        let builtin = outbound.span.is_none();
        let known = states.iter_mut().find(|known| {
            builtin && known.kind == state.kind && known.name.eq_ignore_ascii_case(&state.name)
        });
        match known {
            Some(known) => {
                known.aliases.push(state.name);
                known.flows += state.flows;
            }
            None => states.push(state),
        }
    }
    states
}
