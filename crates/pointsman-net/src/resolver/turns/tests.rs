//! By a clock that stands still: servers of sleep.

use std::sync::Mutex;

use super::*;
use pointsman_spec::resolver::{NameServer, Place};
use pointsman_wire::dns::{Cached, parse_response};

use super::super::message::Refusal;

const BUDGET: Duration = Duration::from_secs(4);

/// What a server does: after so many milliseconds, that; `None` is for ever.
type Server = Option<(u64, Said)>;

fn told(code: u8, ttl: u32) -> Said {
    let message = [&[0, 7, 0x81, 0x80 | code, 0, 1][..], &[0; 7], &[0, 1, 0, 1]].concat();
    let kept = Cached::new(&parse_response(&message).unwrap(), ttl);
    Said::Told(kept.unwrap().into(), ttl)
}

fn good(ttl: u32) -> Said {
    told(0, ttl)
}

fn broken() -> Said {
    Said::Failed(Refusal::from("SERVFAIL".to_owned()))
}

fn gone() -> Said {
    Said::Unreached("port unreachable".into())
}

/// The answer, after how many milliseconds, who was asked when, and what was heard.
type Played = (
    Result<(usize, Said), Vec<(usize, Said)>>,
    u128,
    Vec<(usize, u128)>,
    Vec<(usize, Sound)>,
);

async fn play(servers: &[Server]) -> Played {
    play_by(servers, false).await
}

/// In turn, or in a race.
async fn play_by(servers: &[Server], is_race: bool) -> Played {
    let begun = Instant::now();
    let (asked, heard) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let numbered: Vec<(usize, &Server)> = servers.iter().enumerate().collect();
    let ask = |(number, server): &(usize, &Server)| {
        let at = begun.elapsed().as_millis();
        asked.lock().unwrap().push((*number, at));
        let server: Server = (*server).clone();
        async move {
            match server {
                Some((after, answer)) => {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    answer
                }
                None => std::future::pending().await,
            }
        }
    };
    let hear = |(number, _): &(usize, &Server), sound| heard.lock().unwrap().push((*number, sound));
    let until = begun + BUDGET;
    let result = match is_race {
        true => at_once(&numbered, until, ask, hear).await,
        false => in_turn(&numbered, until, |_| PASS_BY, ask, hear).await,
    };
    let took = begun.elapsed().as_millis();
    (
        result,
        took,
        asked.into_inner().unwrap(),
        heard.into_inner().unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_is_the_only_one_asked() {
    let (answer, took, asked, heard) = play(&[Some((5, good(1))), Some((1, good(2)))]).await;
    assert_eq!((answer, took), (Ok((0, good(1))), 5));
    assert_eq!(asked, [(0, 0)]);
    assert_eq!(heard, [(0, Sound::Voice)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_one_is_passed_by() {
    let (answer, took, asked, heard) = play(&[None, Some((5, good(2)))]).await;
    assert_eq!((answer, took), (Ok((1, good(2))), 405));
    assert_eq!(asked, [(0, 0), (1, 400)]);
    assert_eq!(heard, [(0, Sound::PassedBy), (1, Sound::Voice)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_may_still_win() {
    let (answer, took, asked, heard) = play(&[Some((700, good(1))), None]).await;
    assert_eq!((answer, took), (Ok((0, good(1))), 700));
    assert_eq!(asked, [(0, 0), (1, 400)]);
    assert_eq!(heard, [(0, Sound::PassedBy), (0, Sound::Voice)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_delay_the_next() {
    for (failure, sounds) in [(broken(), 2), (gone(), 1)] {
        let (answer, took, asked, heard) =
            play(&[Some((3, failure)), Some((4, good(2))), None]).await;
        assert_eq!((answer, took), (Ok((1, good(2))), 7));
        assert_eq!(asked, [(0, 0), (1, 3)]);
        // Who was not reached has not been heard.
        assert_eq!(heard.len(), sounds);
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_such_name_settles_it() {
    let none = told(3, 9);
    let (answer, took, asked, _) = play(&[Some((3, none.clone())), Some((0, good(2)))]).await;
    assert_eq!((answer, took, asked.len()), (Ok((0, none)), 3, 1));
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_one_for_all() {
    // Twenty silent ones: those that there is no time for are not asked.
    let (answer, took, asked, heard) = play(&vec![None; 20]).await;
    let failures = answer.unwrap_err();
    assert_eq!((took, asked.len()), (4000, 10));
    assert_eq!(failures.len(), 10);
    assert!(failures.iter().all(|(_, why)| *why == Said::Silent));
    // The last one had no time to be passed by.
    let silent = heard.iter().filter(|(_, sound)| *sound == Sound::Silence);
    assert_eq!((silent.count(), heard.len()), (9, 18));
    // All fail at once: nothing is waited for.
    let (answer, took, ..) = play(&vec![Some((0, gone())); 20]).await;
    assert_eq!((answer.unwrap_err().len(), took), (20, 0));
    assert_eq!(play(&[]).await.0, Err(Vec::new()));
}

fn server(number: u8) -> Reached {
    let server = NameServer::Udp(Place {
        address: ([127, 0, 0, number], 53).into(),
        interface: None,
        via: None,
    });
    Reached::defined(&server, &[])
}

#[test]
fn silence_is_remembered_by_type_and_forgotten() {
    let (silences, now) = (Silences::default(), Instant::now());
    let all = [server(1), server(2)];
    let (a, aaaa) = (Sort::A, Sort::Aaaa);
    let order = |kind, after| silences.order(&all, kind, now + Duration::from_secs(after));
    silences.note(&all[0], aaaa, Sound::Silence, now);
    assert_eq!(order(aaaa, 0), [1, 0]);
    assert_eq!(order(a, 0), [0, 1]);
    assert_eq!(order(aaaa, 10), [0, 1]);
    assert!(!silences.all(&all, aaaa, now));
    assert!(silences.all(&all[..1], aaaa, now));
    // Slow for one name is not silent.
    silences.note(&all[1], aaaa, Sound::PassedBy, now);
    assert!(!silences.all(&all, aaaa, now));
    silences.note(&all[1], aaaa, Sound::Silence, now);
    silences.note(&all[1], aaaa, Sound::PassedBy, now);
    assert!(silences.all(&all, aaaa, now));
    silences.note(&all[0], aaaa, Sound::Voice, now);
    assert_eq!(order(aaaa, 0), [0, 1]);
    assert!(!silences.all(&all, aaaa, now));
}

#[tokio::test(start_paused = true)]
async fn in_a_race_all_are_asked_and_the_first_good_answer_counts() {
    let (answer, took, asked, heard) =
        play_by(&[None, Some((9, good(1))), Some((3, broken()))], true).await;
    assert_eq!((answer, took), (Ok((1, good(1))), 9));
    assert_eq!(asked, [(0, 0), (1, 0), (2, 0)]);
    assert_eq!(heard, [(2, Sound::Voice), (1, Sound::Voice)]);
    let (answer, took, _, heard) = play_by(&[None, Some((3, gone()))], true).await;
    assert_eq!(answer, Err(vec![(1, gone()), (0, Said::Silent)]));
    assert_eq!((took, heard), (4000, vec![(0, Sound::Silence)]));
    let (answer, took, ..) = play_by(&[Some((5, broken())), Some((3, gone()))], true).await;
    assert_eq!((answer.unwrap_err().len(), took), (2, 5));
}

#[tokio::test(start_paused = true)]
async fn who_was_first_is_known_for_five_minutes() {
    let fastest = Fastest::default();
    let now = Instant::now();
    assert_eq!(fastest.known(now), None);
    fastest.note(1, now);
    assert_eq!(
        fastest.known(now + FIRST_FOR - Duration::from_secs(1)),
        Some(1)
    );
    assert_eq!(fastest.known(now + FIRST_FOR), None);
    fastest.note(0, now);
    fastest.forget();
    assert_eq!(fastest.known(now), None);
}
