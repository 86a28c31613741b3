//! Forwards in the native language.

use super::Report;
use super::dns::families;
use super::emit::{Map, list, quoted, ranges, relative};
use pointsman_config::setup::{
    Balance, Balancing, Endpoint, Families, Forward, Keepalive, Listen, Retry, Setup, Target,
};

/// The section `forwards`.
pub(super) fn section(setup: &Setup, names: &[String], report: &mut Report) -> Map {
    let mut section = Map::default();
    for forward in &setup.forwards {
        let place = format!("{}:{}", forward.span.file(), forward.span.line());
        let mut map = Map::default();
        let listen = forward.listen.iter();
        map.raw("listen", list(listen.map(|it| endpoint(&it.at, setup))));
        let narrow = |it: &Listen| {
            it.families != Families::default()
                && matches!(it.at, Endpoint::Tcp(_) | Endpoint::Udp(_))
        };
        if forward.listen.iter().any(narrow) {
            let what = format!(
                "`{}` listens on one family alone; in the native language the address says it",
                forward.name
            );
            report.lost(&place, what);
        }
        if !forward.allow.is_empty() {
            map.raw("allow", ranges(&forward.allow));
        }
        let targets = setup.targets_of(forward);
        let targets = targets.map(|(name, it)| target(name, it, setup, names, &place, report));
        map.raw("targets", list(targets.collect::<Vec<_>>()));
        let Some(balancing) = setup.balancing_of(forward) else {
            continue;
        };
        let by = match forward.by_server_name {
            true => "sni",
            false => balance(balancing.balance),
        };
        map.text("balance", by);
        limits(forward, balancing, setup, &mut map);
        if let Some(why) = &balancing.not_yet {
            report.note(
                &place,
                format!("`{}` refuses every connection: {why}", forward.name),
            );
            map.raw("tls", "{}");
        }
        section.raw(&forward.name, map.flow());
    }
    section
}

fn limits(forward: &Forward, balancing: &Balancing, setup: &Setup, map: &mut Map) {
    if balancing.connection_limit > 0 {
        map.raw("connection_limit", balancing.connection_limit.to_string());
    }
    let proxy_header = setup.targets_of(forward).any(|(_, it)| it.proxy_header);
    map.time("lifetime", forward.limits.lifetime)
        .time("read_timeout", forward.limits.read_timeout)
        .time("write_timeout", forward.limits.write_timeout)
        .time("half_closed", forward.limits.half_closed)
        .time("idle", forward.limits.idle)
        .flag("proxy_header", proxy_header)
        .flag("same_family", forward.same_family);
    if balancing.one_way {
        map.raw("answers", quoted("off"));
    }
    if balancing.retry != Retry::default() {
        let Retry {
            targets,
            pause,
            most,
        } = balancing.retry;
        let mut retry = Map::default();
        if let Some(targets) = targets {
            retry.raw("targets", targets.to_string());
        }
        retry
            .time("pause", Some(pause).filter(|pause| !pause.is_zero()))
            .time("most", Some(most));
        map.raw("retry", retry.flow());
    }
    if let Some(path) = &forward.access_log {
        map.raw("access_log", quoted(&relative(path, &setup.directory)));
    }
}

fn target(
    name: &str,
    target: &Target,
    setup: &Setup,
    names: &[String],
    place: &str,
    report: &mut Report,
) -> String {
    let mut map = Map::default();
    map.text("name", name);
    map.raw("address", endpoint(&target.address, setup));
    let via = target.via.and_then(|id| names.get(id.0 as usize));
    map.some("via", via.map(String::as_str));
    if target.families != Families::default() {
        map.text("family", families(target.families));
    }
    map.time("resolve_timeout", target.resolve_timeout);
    if target.address.is_udp() {
        return map.flow();
    }
    map.raw("attempts", target.attempts.to_string());
    if target.attempts > 1 && target.backoff.is_zero() {
        let what = format!("`{name}` tried again at once; the native form waits 100ms");
        report.lost(place, what);
    }
    map.time("backoff", Some(target.backoff).filter(|t| !t.is_zero()));
    if target.connect_timeout.is_none() {
        let what =
            format!("`{name}` had no limit of time for connecting; the native form has one of 10s");
        report.lost(place, what);
    }
    map.time("connect_timeout", target.connect_timeout)
        .time("read_timeout", target.read_timeout)
        .time("write_timeout", target.write_timeout);
    match target.keepalive {
        Keepalive::Default => {}
        Keepalive::Every(time) => {
            map.time("keepalive", Some(time));
        }
        Keepalive::Off => {
            map.raw("keepalive", quoted("off"));
        }
    }
    map.flow()
}

fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::Failover => "failover",
        Balance::None => "none",
        Balance::RoundRobin => "round-robin",
        Balance::Source => "source",
    }
}

fn endpoint(endpoint: &Endpoint, setup: &Setup) -> String {
    let said = match endpoint {
        Endpoint::Fd(number) => format!("fd://{number}"),
        Endpoint::Tcp(server) => format!("tcp://{server}"),
        Endpoint::Udp(server) => format!("udp://{server}"),
        Endpoint::Unix(path) => format!("unix://{}", relative(path, &setup.directory)),
    };
    quoted(&said)
}
