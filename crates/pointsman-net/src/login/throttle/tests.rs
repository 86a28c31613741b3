//! Whose answers wait, whose places are freed, and who is forgotten.

use super::*;
use crate::stream::Socket;

/// Plays wrong passwords, each as `(second, address)`; which of them wait.
fn waits(played: &[(u64, &str)]) -> Vec<bool> {
    let (mut wrongs, start) = (Wrongs::default(), Instant::now());
    let mut play = |(second, address): &(u64, &str)| {
        let now = start + Duration::from_secs(*second);
        let wait = wrongs.wrong(address.parse().unwrap(), now);
        assert!(wait.is_none_or(|wait| wait == Duration::from_secs(1)));
        wait.is_some()
    };
    played.iter().map(&mut play).collect()
}

#[test]
fn the_eleventh_of_a_minute_waits() {
    let ten = |second| [(second, "192.0.2.1"); 10];
    let after = |then: (u64, &'static str)| {
        let played = [&ten(100)[..], &[then]].concat();
        let (last, first) = waits(&played)
            .split_last()
            .map(|(l, f)| (*l, f.to_vec()))
            .unwrap();
        assert_eq!(first, [false; 10]);
        last
    };
    assert!(after((100, "192.0.2.1")));
    assert!(after((159, "192.0.2.1")));
    assert!(!after((160, "192.0.2.1")), "the minute is over");
    assert!(!after((100, "192.0.2.2")));
    assert!(
        after((100, "::ffff:192.0.2.1")),
        "one address in two families"
    );
    assert!(after((99, "192.0.2.1")), "told late, and no panic");
}

#[test]
fn ten_a_minute_never_wait_and_a_guesser_waits_as_long_as_it_guesses() {
    let slow: Vec<_> = (0..50).map(|turn| (turn * 6, "192.0.2.1")).collect();
    assert_eq!(waits(&slow), [false; 50]);
    let fast: Vec<_> = (0..50).map(|turn| (turn, "192.0.2.1")).collect();
    assert_eq!(waits(&fast)[..10], [false; 10]);
    assert_eq!(waits(&fast)[10..], [true; 40]);
}

#[test]
fn a_network_of_64_bits_is_one_guesser() {
    let mut played: Vec<(u64, String)> = (0..11)
        .map(|turn| (turn, format!("2001:db8:0:1::{turn:x}")))
        .collect();
    played.push((11, "2001:db8:0:2::1".into()));
    played.push((11, "2001:db8:0:1:ffff:ffff:ffff:ffff".into()));
    let played: Vec<_> = played
        .iter()
        .map(|(second, who)| (*second, who.as_str()))
        .collect();
    assert_eq!(waits(&played)[..10], [false; 10]);
    assert_eq!(waits(&played)[10..], [true, false, true]);
}

#[test]
fn the_stalest_is_forgotten_first() {
    let (mut wrongs, start) = (Wrongs::default(), Instant::now());
    let guesser = IpAddr::from([192, 0, 2, 1]);
    let other = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
    let at = |milli| start + Duration::from_millis(milli);
    for number in 0..5_000_u32 {
        let now = at(u64::from(number));
        wrongs.wrong(other(number), now);
        if number % 100 == 0 {
            wrongs.wrong(guesser, now);
        }
        assert!(wrongs.0.len() <= ADDRESSES);
    }
    assert!(
        wrongs.wrong(guesser, at(5_000)).is_some(),
        "it was never the stalest"
    );
    assert!(!wrongs.0.contains_key(&other(0)));
    assert!(wrongs.0.contains_key(&other(4_999)));
    // A minute later none of them counts.
    wrongs.wrong(other(30_000), at(80_000));
    assert_eq!(wrongs.0.len(), 1);
}

async fn pair() -> (Stream, tokio::net::TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the peer in a test")]
    let peer = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (peer, accepted) = tokio::join!(peer, listener.accept());
    (Stream::new(Socket::Tcp(accepted.unwrap().0)), peer.unwrap())
}

#[tokio::test]
async fn who_leaves_frees_its_place_and_too_many_are_not_held() {
    const HOUR: Duration = Duration::from_secs(3600);
    let throttle = LoginThrottle {
        held: Semaphore::new(1),
        ..LoginThrottle::default()
    };
    let ((first, stays), (second, _stays)) = (pair().await, pair().await);
    let mut holding = Box::pin(throttle.hold(&first, HOUR));
    assert!(poll_once(&mut holding).await.is_none());
    assert_eq!(throttle.hold(&second, HOUR).await, DelayOutcome::Spared);
    drop(stays);
    assert_eq!(holding.await, DelayOutcome::Left);
    assert_eq!(throttle.held.available_permits(), 1);
    assert_eq!(
        throttle.hold(&second, Duration::ZERO).await,
        DelayOutcome::Due
    );
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
