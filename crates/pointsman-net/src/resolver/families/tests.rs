//! By a clock that stands still.

use tokio::time::Instant;

use super::*;

/// After so many milliseconds, that; `None` is for ever.
type Server = Option<(u64, Told)>;

fn addresses(count: u8) -> Told {
    Told::Addresses((0..count).map(|n| IpAddr::from([n; 4])).collect())
}

fn no_name() -> Told {
    Told::NoSuchName("no name".into())
}

fn failed() -> Told {
    Told::Failed("silent".into())
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

/// Which halves were told, and after how many milliseconds.
async fn play(servers: [Server; 2], patience: [Duration; 2]) -> ([bool; 2], u128) {
    let begun = Instant::now();
    let halves = both(servers.map(half), patience).await;
    (
        halves.map(|half| matches!(half, Half::Told(_))),
        begun.elapsed().as_millis(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_family_with_addresses_waits_a_little_for_the_other() {
    let patience = [RESOLUTION_DELAY; 2];
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
        assert_eq!(play(servers, patience).await, (told, took), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_family_that_is_known_to_be_silent_is_not_waited_for() {
    let patience = [RESOLUTION_DELAY, Duration::ZERO];
    assert_eq!(
        play([Some((1, addresses(1))), None], patience).await,
        ([true, false], 1)
    );
    assert_eq!(
        play([Some((1, no_name())), None], patience).await,
        ([true, false], 1)
    );
    // It is when there is nothing else.
    assert_eq!(
        play(
            [Some((1, addresses(0))), Some((900, addresses(1)))],
            patience
        )
        .await,
        ([true, true], 900)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_waited_for_is_not_even_asked() {
    let asked = Half::Asking(Box::pin(async { panic!("asked") }));
    let known = Half::Told(addresses(1));
    let halves = both([known, asked], [RESOLUTION_DELAY, Duration::ZERO]).await;
    assert!(matches!(halves[1], Half::Asking(_)));
}

#[test]
fn addresses_come_in_the_order_that_is_preferred() {
    let (v4, v6) = (vec![[1; 4].into()], vec![[1; 16].into()]);
    let ordered = |families: Families| families.ordered(v4.clone(), v6.clone());
    assert_eq!(ordered(Families::Ipv4Only), v4);
    assert_eq!(ordered(Families::Ipv6Only), v6);
    assert_eq!(ordered(Families::PreferIpv4), [v4[0], v6[0]]);
    assert_eq!(ordered(Families::PreferIpv6), [v6[0], v4[0]]);
}
