//! Words that several verbs have in common.

use std::time::{SystemTime, UNIX_EPOCH};

use pointsman_api::explain::{Decision, Explained};
use pointsman_api::flow::{Inbound, ProcessRef, Untold};
use pointsman_policy::shown::plain;

/// A way out with the groups that led there: `outer › inner › member`.
pub(crate) fn way(outbound: Option<&str>, groups: &[String], member: Option<&str>) -> String {
    let mut names = vec![outbound.unwrap_or("none")];
    names.extend(groups.iter().map(String::as_str));
    names.extend(member);
    names.join(" › ")
}

/// [`way`] of a decision.
pub(crate) fn decided(decision: &Decision) -> String {
    let Decision {
        outbound,
        groups,
        member,
        action: _,
    } = decision;
    way(outbound.as_deref(), groups, member.as_deref())
}

/// `curl (4711)`; nothing where nobody knows.
pub(crate) fn program(process: &ProcessRef) -> Option<String> {
    match (&process.name, process.pid) {
        (Some(name), Some(pid)) => Some(format!("{name} ({pid})")),
        (Some(name), None) => Some(name.clone()),
        (None, Some(pid)) => Some(format!("process {pid}")),
        (None, None) => None,
    }
}

/// `tcp a.test:443 (tls), from 127.0.0.1:5000, by curl (4711), through socks5 desk, at 2026-01-02T03:04:05.678Z`.
pub(crate) fn flow(flow: &Explained) -> String {
    let Explained {
        time,
        ended,
        error,
        network,
        dst,
        domain,
        protocol,
        src,
        process,
        inbound,
    } = flow;
    let learned: Vec<&str> = [protocol, domain]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let mut text = network.clone();
    if let Some(dst) = dst {
        text = format!("{text} {dst}");
    }
    if !learned.is_empty() {
        text = format!("{text} ({})", learned.join(" "));
    }
    let program = process.as_ref().and_then(program);
    let through = inbound.as_ref().map(through);
    let ended = match (ended, error) {
        (Some(ended), Some(error)) => Some(format!("{ended}: {error}")),
        (ended, _) => ended.clone(),
    };
    for (word, value) in [
        ("from", src),
        ("by", &program),
        ("through", &through),
        ("at", time),
        ("ended:", &ended),
    ] {
        if let Some(value) = value {
            text = format!("{text}, {word} {value}");
        }
    }
    plain(&text)
}

fn through(inbound: &Inbound) -> String {
    let Inbound {
        kind,
        name,
        port,
        user,
    } = inbound;
    let mut text = kind.clone();
    if let Some(name) = name {
        text = format!("{text} {name}");
    } else if let Some(port) = port {
        text = format!("{text}:{port}");
    }
    match user {
        Some(user) => format!("{text} as {user}"),
        None => text,
    }
}

/// Why flows that may be meant are not told.
pub(crate) fn untold(untold: &Untold) -> String {
    let Untold { fact, flows } = untold;
    let (flows, whose) = match flows {
        1 => ("1 flow".to_owned(), "its"),
        flows => (format!("{flows} flows"), "their"),
    };
    format!("{flows} may be meant, too: no rule asked for {whose} {fact}, and so that is not known")
}

/// Milliseconds as people say them: `3 d 4 h`, `5 min 2 s`, `17 ms`.
pub(crate) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long a time lies back, in milliseconds, by this host's clock, which is the daemon's.
pub(crate) fn since(unix_ms: u64) -> u64 {
    now().saturating_sub(unix_ms)
}

/// Milliseconds since 1970, by this host's clock.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes as people say them: `999 B`, `1.2 kB`, `34 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, "B");
    for larger in units {
        if tenths < 10_000 {
            break;
        }
        (tenths, unit) = (tenths / 1000, larger);
    }
    match (unit, tenths) {
        ("B", _) | (_, 100..) => format!("{} {unit}", tenths / 10),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_two_words() {
        let said = [999, 59_000, 61_000, 3_600_000, 90_061_000].map(span);
        assert_eq!(
            said,
            ["999 ms", "59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]
        );
    }

    #[test]
    fn sizes_have_two_digits_at_least() {
        let said = [0, 999, 1000, 1234, 12_345, 999_999, 1_000_000, u64::MAX].map(size);
        assert_eq!(
            said,
            [
                "0 B", "999 B", "1.0 kB", "1.2 kB", "12 kB", "999 kB", "1.0 MB", "18 EB"
            ]
        );
    }

    #[test]
    fn groups_keep_their_middle() {
        let between = ["b".to_owned(), "c".to_owned()];
        assert_eq!(way(Some("a"), &between, Some("d")), "a › b › c › d");
        assert_eq!(way(Some("a"), &[], None), "a");
        assert_eq!(way(None, &[], None), "none");
    }

    #[test]
    fn a_flow_is_told_as_far_as_it_is_known() {
        let text = r#"{"network":"tcp","dst":"1.2.3.4:443","domain":"a.test","protocol":"tls","src":"127.0.0.1:5",
            "process":{"name":"curl","pid":7},"inbound":{"type":"socks5","name":"desk","port":1,"user":"ann"},
            "time":"2026-01-02T03:04:05.678Z"}"#;
        let explained: Explained = serde_json::from_str(text).unwrap();
        assert_eq!(
            flow(&explained),
            "tcp 1.2.3.4:443 (tls a.test), from 127.0.0.1:5, by curl (7), through socks5 desk as ann, at \
             2026-01-02T03:04:05.678Z"
        );
        let explained: Explained = serde_json::from_str(r#"{"network":"udp"}"#).unwrap();
        assert_eq!(flow(&explained), "udp");
    }
}
