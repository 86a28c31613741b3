//! By a clock that stands still.

use tokio::time::Instant;

use super::*;
use crate::lookup::{Data, Record, Source};

/// After so many milliseconds, that; `None` is for ever.
type Server = Option<(u64, Answer)>;

fn of(addresses: &[IpAddr]) -> Answer {
    let (until, from) = (Instant::now(), Source::Configuration);
    if addresses.is_empty() {
        return Answer::NoData { until, from };
    }
    let record = |address: &IpAddr| Record {
        data: Data::from(*address),
        ttl: 60,
    };
    Answer::Records {
        records: addresses.iter().map(record).collect(),
        until,
        from,
    }
}

fn addresses(count: u8) -> Answer {
    let all: Vec<IpAddr> = (0..count).map(|n| IpAddr::from([n; 4])).collect();
    of(&all)
}

fn no_name() -> Answer {
    Answer::NoName {
        until: Instant::now(),
        from: Source::Configuration,
    }
}

fn failed() -> Answer {
    Answer::Failed("silent".into())
}

fn half(server: Server) -> Half {
    Half::Asking(Box::pin(async move {
        match server {
            Some((after, told)) => {
                sleep(Duration::from_millis(after)).await;
                told
            }
            None => std::future::pending().await,
        }
    }))
}

const LATE: Out = Out {
    late: true,
    silent: false,
};
const SILENT: Out = Out {
    late: false,
    silent: true,
};

/// Which halves were told, and after how many milliseconds.
async fn play(servers: [Server; 2], out: Out) -> ([bool; 2], u128) {
    let begun = Instant::now();
    let halves = both(servers.map(half), [out; 2], |_| true).await;
    (
        halves.map(|half| matches!(half, Half::Told(_))),
        begun.elapsed().as_millis(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_family_with_addresses_waits_a_little_for_the_other() {
    let cases: [([Server; 2], [bool; 2], u128); 10] = [
        // Both in time.
        (
            [Some((1, addresses(1))), Some((9, addresses(1)))],
            [true, true],
            9,
        ),
        (
            [Some((30, addresses(1))), Some((9, addresses(1)))],
            [true, true],
            30,
        ),
        // One never, or too late.
        ([Some((1, addresses(1))), None], [true, false], 51),
        ([None, Some((1, addresses(1)))], [false, true], 51),
        (
            [Some((1, addresses(1))), Some((60, addresses(1)))],
            [true, false],
            51,
        ),
        // Without addresses there is nothing to go on with.
        (
            [Some((1, addresses(0))), Some((3000, addresses(1)))],
            [true, true],
            3000,
        ),
        (
            [Some((1, failed())), Some((3000, addresses(1)))],
            [true, true],
            3000,
        ),
        (
            [Some((3000, addresses(1))), Some((1, failed()))],
            [true, true],
            3000,
        ),
        // A name that does not exist is not looked for to the end, but longer.
        ([Some((1, no_name())), None], [true, false], 1001),
        (
            [Some((500, addresses(1))), Some((1, no_name()))],
            [true, true],
            500,
        ),
    ];
    for (servers, told, took) in cases {
        let shown = format!("{servers:?}");
        assert_eq!(play(servers, Out::default()).await, (told, took), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_waited_for_in_vain_is_waited_for_less() {
    let cases: [([Server; 2], Out, [bool; 2], u128); 6] = [
        ([Some((1, addresses(1))), None], LATE, [true, false], 1),
        ([None, Some((1, addresses(1)))], LATE, [false, true], 1),
        ([Some((1, no_name())), None], LATE, [true, false], 1001),
        // A family that nobody answers may be about to be answered again.
        ([Some((1, addresses(1))), None], SILENT, [true, false], 51),
        ([Some((1, no_name())), None], SILENT, [true, false], 51),
        // There is nothing else.
        (
            [Some((1, addresses(0))), Some((900, addresses(1)))],
            SILENT,
            [true, true],
            900,
        ),
    ];
    for (servers, out, told, took) in cases {
        let shown = format!("{servers:?} {out:?}");
        assert_eq!(play(servers, out).await, (told, took), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn addresses_without_a_route_wait_for_the_other_family_to_the_end() {
    for out in [Out::default(), LATE, SILENT] {
        for (late, index) in [(0, 1), (1, 0)] {
            let mut servers = [Some((3000, addresses(1))), Some((3000, addresses(1)))];
            servers[index] = Some((1, of(&["fe80::1".parse().unwrap()])));
            let begun = Instant::now();
            let reachable = |address: IpAddr| address.is_ipv4();
            let halves = both(servers.map(half), [out; 2], reachable).await;
            assert!(matches!(halves[late], Half::Told(_)), "{out:?}");
            assert_eq!(begun.elapsed().as_millis(), 3000, "{out:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_already_is_looked_at_whatever_else_is() {
    for known in [addresses(1), no_name()] {
        for out in [LATE, SILENT] {
            let halves = [Some((0, known.clone())), Some((0, addresses(1)))];
            assert_eq!(play(halves, out).await, ([true, true], 0), "{out:?}");
        }
    }
}
