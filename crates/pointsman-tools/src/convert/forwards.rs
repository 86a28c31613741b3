//! Forwards in the native language.

use super::Report;
use super::dns::families;
use super::emit::{Map, list, quoted, ranges, relative};
use pointsman_config::setup::{
    Balance, Endpoint, Families, Forward, Keepalive, Retry, Setup, Target,
};

/// The section `forwards`.
pub(super) fn section(setup: &Setup, names: &[String], report: &mut Report) -> Map {
    let mut section = Map::default();
    for forward in &setup.forwards {
        let place = format!("{}:{}", forward.span.file(), forward.span.line());
        let mut map = Map::default();
        let listen = forward.listen.iter();
        map.raw("listen", list(listen.map(|e| endpoint(e, setup))));
        if forward.listen_families != Families::default()
            && forward.listen.iter().any(|e| matches!(e, Endpoint::Tcp(_)))
        {
            let what = format!(
                "`{}` listens on one family alone; in the native language the address says it",
                forward.name
            );
            report.lost(&place, what);
        }
        if !forward.allow.is_empty() {
            map.raw("allow", ranges(&forward.allow));
        }
        let targets = forward.targets.iter();
        let targets = targets.map(|t| target(t, setup, names, &place, report));
        map.raw("targets", list(targets.collect::<Vec<_>>()));
        map.text("balance", balance(forward.balance));
        limits(forward, setup, &mut map);
        if let Some(why) = &forward.not_yet {
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

fn limits(forward: &Forward, setup: &Setup, map: &mut Map) {
    if forward.connection_limit > 0 {
        map.raw("connection_limit", forward.connection_limit.to_string());
    }
    map.time("lifetime", forward.lifetime)
        .time("read_timeout", forward.read_timeout)
        .time("write_timeout", forward.write_timeout)
        .time("half_closed", forward.half_closed)
        .flag("proxy_header", forward.proxy_header)
        .flag("same_family", forward.same_family);
    if forward.retry != Retry::default() {
        let Retry {
            targets,
            pause,
            most,
        } = forward.retry;
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
    target: &Target,
    setup: &Setup,
    names: &[String],
    place: &str,
    report: &mut Report,
) -> String {
    let mut map = Map::default();
    map.text("name", &target.name);
    map.raw("address", endpoint(&target.address, setup));
    let via = target.via.and_then(|id| names.get(id.0 as usize));
    map.some("via", via.map(String::as_str));
    map.raw("attempts", target.attempts.to_string());
    if target.attempts > 1 && target.backoff.is_zero() {
        let what = format!(
            "`{}` tried again at once; the native form waits 100ms",
            target.name
        );
        report.lost(place, what);
    }
    map.time("backoff", Some(target.backoff).filter(|t| !t.is_zero()));
    if target.connect_timeout.is_none() {
        let what = format!(
            "`{}` had no limit of time for connecting; the native form has one of 10s",
            target.name
        );
        report.lost(place, what);
    }
    map.time("connect_timeout", target.connect_timeout)
        .time("resolve_timeout", target.resolve_timeout)
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
    if target.families != Families::default() {
        map.text("family", families(target.families));
    }
    map.flow()
}

fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::Failover => "failover",
        Balance::None => "none",
        Balance::RoundRobin => "round-robin",
        Balance::Sni => "sni",
    }
}

fn endpoint(endpoint: &Endpoint, setup: &Setup) -> String {
    let said = match endpoint {
        Endpoint::Fd(number) => format!("fd://{number}"),
        Endpoint::Tcp(server) => format!("tcp://{server}"),
        Endpoint::Unix(path) => format!("unix://{}", relative(path, &setup.directory)),
    };
    quoted(&said)
}
