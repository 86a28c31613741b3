//! By a clock that stands still: servers of sleep.

use std::sync::Mutex;

use super::*;

const BUDGET: Duration = Duration::from_secs(4);

/// What a server does: after so many milliseconds, that; `None` is for ever.
type Server = Option<(u64, Answer)>;

fn good(n: u8) -> Answer {
    Answer::Addresses(vec![[n, n, n, n].into()], 60)
}

fn broken() -> Answer {
    Answer::Failed("SERVFAIL".into())
}

fn gone() -> Answer {
    Answer::Unreached("port unreachable".into())
}

/// The answer, after how many milliseconds, who was asked when, and what was heard.
async fn play(
    servers: &[Server],
) -> (
    Result<Answer, Vec<(usize, Answer)>>,
    u128,
    Vec<(usize, u128)>,
    Vec<(usize, Sound)>,
) {
    let begun = Instant::now();
    let (asked, heard) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let numbered: Vec<(usize, &Server)> = servers.iter().enumerate().collect();
    let result = in_turn(
        &numbered,
        begun + BUDGET,
        |_| PASS_BY,
        |(number, server)| {
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
        },
        |(number, _), sound| heard.lock().unwrap().push((*number, sound)),
    )
    .await;
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
    assert_eq!((answer, took), (Ok(good(1)), 5));
    assert_eq!(asked, [(0, 0)]);
    assert_eq!(heard, [(0, Sound::Voice)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_one_is_passed_by() {
    let (answer, took, asked, heard) = play(&[None, Some((5, good(2)))]).await;
    assert_eq!((answer, took), (Ok(good(2)), 405));
    assert_eq!(asked, [(0, 0), (1, 400)]);
    assert_eq!(heard, [(0, Sound::PassedBy), (1, Sound::Voice)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_may_still_win() {
    let (answer, took, asked, heard) = play(&[Some((700, good(1))), None]).await;
    assert_eq!((answer, took), (Ok(good(1)), 700));
    assert_eq!(asked, [(0, 0), (1, 400)]);
    assert_eq!(heard, [(0, Sound::PassedBy), (0, Sound::Voice)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_delay_the_next() {
    for (failure, sounds) in [(broken(), 2), (gone(), 1)] {
        let (answer, took, asked, heard) =
            play(&[Some((3, failure)), Some((4, good(2))), None]).await;
        assert_eq!((answer, took), (Ok(good(2)), 7));
        assert_eq!(asked, [(0, 0), (1, 3)]);
        // Who was not reached has not been heard.
        assert_eq!(heard.len(), sounds);
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_such_name_settles_it() {
    let none = Answer::NoSuchName(9);
    let (answer, took, asked, _) = play(&[Some((3, none.clone())), Some((0, good(2)))]).await;
    assert_eq!((answer, took, asked.len()), (Ok(none), 3, 1));
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_one_for_all() {
    // Twenty silent ones: those that there is no time for are not asked.
    let (answer, took, asked, heard) = play(&vec![None; 20]).await;
    let failures = answer.unwrap_err();
    assert_eq!((took, asked.len()), (4000, 10));
    assert_eq!(failures.len(), 10);
    assert!(failures.iter().all(|(_, why)| *why == Answer::Silent));
    // The last one had no time to be passed by.
    let silent = heard.iter().filter(|(_, sound)| *sound == Sound::Silence);
    assert_eq!((silent.count(), heard.len()), (9, 18));
    // All fail at once: nothing is waited for.
    let (answer, took, ..) = play(&vec![Some((0, gone())); 20]).await;
    assert_eq!((answer.unwrap_err().len(), took), (20, 0));
    assert_eq!(play(&[]).await.0, Err(Vec::new()));
}

fn server(number: u8) -> NameServer {
    NameServer::Udp(super::super::Place {
        address: ([127, 0, 0, number], 53).into(),
        interface: None,
        via: None,
    })
}

#[test]
fn silence_is_remembered_by_family_and_forgotten() {
    let (silences, now) = (Silences::default(), Instant::now());
    let all = [server(1), server(2)];
    let order = |family, after| silences.order(&all, family, now + Duration::from_secs(after));
    silences.note(&all[0], Family::V6, Sound::Silence, now);
    assert_eq!(order(Family::V6, 0), [server(2), server(1)]);
    assert_eq!(order(Family::V4, 0), all);
    assert_eq!(order(Family::V6, 10), all);
    assert!(!silences.all(&all, Family::V6, now));
    assert!(silences.all(&all[..1], Family::V6, now));
    // Slow for one name is not silent.
    silences.note(&all[1], Family::V6, Sound::PassedBy, now);
    assert!(!silences.all(&all, Family::V6, now));
    silences.note(&all[1], Family::V6, Sound::Silence, now);
    silences.note(&all[1], Family::V6, Sound::PassedBy, now);
    assert!(silences.all(&all, Family::V6, now));
    silences.note(&all[0], Family::V6, Sound::Voice, now);
    assert_eq!(order(Family::V6, 0), all);
    assert!(!silences.all(&all, Family::V6, now));
}
