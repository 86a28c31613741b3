//! Which listeners serve on for which addresses.

use super::super::wanted::without_conflicts;
use super::*;

fn at(text: &str) -> At {
    match text.split_once(':') {
        Some(("fd", number)) => At::Fd(number.parse().unwrap()),
        Some(("udp", address)) => At::Udp(address.parse().unwrap()),
        _ => At::Tcp(text.parse().unwrap()),
    }
}

fn wanted(name: &str, text: &str, implied: bool) -> Wanted {
    Wanted {
        name: name.into(),
        kind: InboundKind::Mixed,
        scheme: None,
        at: at(text),
        door: 0,
        spare: false,
        implied,
    }
}

/// `asked` or `asked=bound`; a leading `+` is a part of a wider one.
fn standing(text: &str) -> Standing {
    let (within, text) = match text.strip_prefix('+') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (asked, bound) = text.split_once('=').unwrap_or((text, text));
    let asked = at(asked);
    Standing {
        id: ListenerId(0),
        name: "old".into(),
        kind: InboundKind::Mixed,
        scheme: None,
        inherited: match asked {
            At::Fd(number) => Some(number),
            At::Tcp(_) | At::Udp(_) | At::Unix(_) => None,
        },
        asked,
        bound: bound.trim_start_matches("udp:").parse().ok(),
        within,
    }
}

#[track_caller]
fn check(old: &[&str], new: &[&str], taken: &[Option<usize>], within: &[(usize, usize)]) {
    let wanted: Vec<Wanted> = new.iter().map(|text| wanted("new", text, false)).collect();
    let old: Vec<Standing> = old.iter().map(|text| standing(text)).collect();
    let expected = Plan {
        taken: taken.to_vec(),
        within: within.to_vec(),
    };
    assert_eq!(plan(&wanted, &old), expected);
}

#[test]
fn the_same_address_is_taken_over() {
    check(&["127.0.0.1:80"], &["127.0.0.1:80"], &[Some(0)], &[]);
    check(&["127.0.0.1:80"], &["127.0.0.1:81"], &[None], &[]);
    check(&["[::]:80"], &["0.0.0.0:80"], &[None], &[]);
    let ports = ["127.0.0.1:0=127.0.0.1:5", "127.0.0.1:0=127.0.0.1:6"];
    check(&ports, &["127.0.0.1:0"], &[Some(0)], &[]);
    // The port that 0 got may be asked for by its number, and not the other way round.
    check(&ports, &["127.0.0.1:6"], &[Some(1)], &[]);
    check(&["127.0.0.1:6"], &["127.0.0.1:0"], &[None], &[]);
}

#[test]
fn nothing_of_one_transport_is_taken_for_the_other() {
    let (tcp, udp) = ("127.0.0.1:80", "udp:127.0.0.1:80");
    check(&[tcp], &[udp], &[None], &[]);
    check(&[udp], &[tcp], &[None], &[]);
    check(&[tcp, udp], &[udp, tcp], &[Some(1), Some(0)], &[]);
    let wide = "udp:0.0.0.0:80";
    check(&[tcp, udp], &[wide], &[None], &[(1, 0)]);
    check(&[wide], &[udp], &[None], &[]);
}

#[test]
fn a_part_serves_on_beside_the_whole() {
    check(&["127.0.0.1:80"], &["0.0.0.0:80"], &[None], &[(0, 0)]);
    let both = ["0.0.0.0:80", "[::]:80"];
    check(&["[::1]:80"], &both, &[None, None], &[(0, 1)]);
    // Also over the next generation, and until it is the whole again.
    let both = ["0.0.0.0:80", "+127.0.0.1:80"];
    check(&both, &["0.0.0.0:80"], &[Some(0)], &[(1, 0)]);
    check(&both, &["127.0.0.1:80"], &[Some(1)], &[]);
    let again = ["0.0.0.0:80", "127.0.0.1:80"];
    check(&both, &again, &[Some(0), Some(1)], &[]);
    // The whole is no part of what is narrower.
    check(&["0.0.0.0:80"], &["127.0.0.1:80"], &[None], &[]);
}

#[test]
fn what_was_handed_over_is_known_by_number_and_by_address() {
    let old = ["fd:3=127.0.0.1:80"];
    check(&old, &["fd:3"], &[Some(0)], &[]);
    check(&old, &["fd:4"], &[None], &[]);
    check(&old, &["127.0.0.1:80"], &[Some(0)], &[]);
    check(&old, &["0.0.0.0:80"], &[None], &[(0, 0)]);
}

#[test]
fn the_other_family_gives_way_to_what_is_said() {
    let check = |new: &[(&str, &str, bool)], expected: Result<usize, &str>| {
        let all = new
            .iter()
            .map(|(name, text, implied)| wanted(name, text, *implied));
        let got = without_conflicts(all.collect());
        let got = got
            .map(|left| left.len())
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned), "{new:?}");
    };
    let (four, six) = (("a", "0.0.0.0:80", true), ("a", "[::]:80", false));
    check(&[four, six], Ok(2));
    check(&[four, six, ("b", "0.0.0.0:80", false)], Ok(2));
    check(&[four, six, ("b", "127.0.0.1:80", false)], Ok(3));
    let refused = "inbound `b` cannot listen on [::1]:80";
    check(&[four, six, ("b", "[::1]:80", false)], Err(refused));
    let refused = "inbound `b` cannot listen on 0.0.0.0:80";
    let narrow = ("a", "127.0.0.1:80", false);
    check(&[narrow, ("b", "0.0.0.0:80", false)], Err(refused));
    check(&[four, six, ("b", "0.0.0.0:80", true)], Err(refused));
    let free = ("a", "127.0.0.1:0", false);
    check(&[free, free], Ok(2));
}
