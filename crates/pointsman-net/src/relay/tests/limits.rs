//! What ends a relay from outside: limits of time, a cut, a stop.

use super::*;

#[tokio::test]
async fn limits_end_a_relay() {
    let short = Some(Duration::from_millis(100));
    for (limits, expected) in [
        (
            Limits {
                idle: short,
                ..Limits::default()
            },
            Ended::TimedOut(Limit::Idle),
        ),
        (
            Limits {
                idle_client: short,
                ..Limits::default()
            },
            Ended::TimedOut(Limit::Read),
        ),
        (
            Limits {
                idle_server: short,
                ..Limits::default()
            },
            Ended::TimedOut(Limit::TargetRead),
        ),
        (
            Limits {
                lifetime: short,
                ..Limits::default()
            },
            Ended::TimedOut(Limit::Lifetime),
        ),
        (
            Limits {
                idle: Some(PATIENCE),
                lifetime: short,
                ..Limits::default()
            },
            Ended::TimedOut(Limit::Lifetime),
        ),
    ] {
        let (outcome, seen) = run(limits, &PipePool::default(), |client, server| {
            (next_byte(&client), next_byte(&server))
        })
        .await;
        assert_eq!(outcome.ended, expected, "{limits:?}");
        assert_eq!(seen.0.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(seen.1.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

/// What each side sees of a relay that is cut after some bytes, by a limit, by somebody, or by being dropped.
#[tokio::test]
async fn a_cut_is_a_reset_for_whoever_was_told_no_end() {
    #[derive(Clone, Copy, Debug)]
    enum Cut {
        Closed(Closed),
        Dropped,
    }
    let cuts = [
        Cut::Closed(Closed::Operator),
        Cut::Closed(Closed::Shutdown),
        Cut::Closed(Closed::Idle),
        Cut::Closed(Closed::HalfClosed),
        Cut::Dropped,
    ];
    for size in [1, 1 << 20] {
        for cut in cuts {
            for ended in [None, Some(Who::Client), Some(Who::Server)] {
                let ends = Ends::new();
                let (client, server) = (ends.client, ends.server);
                let (relay, flow) = start(
                    ends.near_client,
                    ends.near_server,
                    Limits::default(),
                    &PipePool::default(),
                );
                let seen = Arc::clone(&flow);
                let acting = thread::spawn(move || {
                    // Both directions carry bytes: few are copied, many are spliced.
                    for (from, to) in [(&client, &server), (&server, &client)] {
                        thread::scope(|scope| {
                            let mut from = from;
                            scope.spawn(move || from.write_all(&pattern(0, size)).unwrap());
                            let mut to = to;
                            to.read_exact(&mut vec![0; size]).unwrap();
                        });
                    }
                    let pair = match ended {
                        None => None,
                        Some(Who::Client) => Some((&client, &server)),
                        Some(Who::Server) => Some((&server, &client)),
                    };
                    if let Some((from, to)) = pair {
                        from.shutdown(Shutdown::Write).unwrap();
                        assert_eq!(next_byte(to).unwrap(), None);
                        assert!(seen.half_closed());
                    }
                    if let Cut::Closed(reason) = cut {
                        seen.close(reason);
                    }
                    (client, server)
                });
                let mut relay = Box::pin(relay);
                let (client, server) = match cut {
                    Cut::Closed(reason) => {
                        let outcome = tokio::time::timeout(PATIENCE, relay).await.unwrap();
                        assert_eq!(outcome.ended, Ended::Closed(reason));
                        acting.join().unwrap()
                    }
                    Cut::Dropped => {
                        let acted = tokio::task::spawn_blocking(|| acting.join().unwrap());
                        let acted = tokio::select! {
                            outcome = &mut relay => panic!("{outcome:?}"),
                            acted = acted => acted.unwrap(),
                        };
                        drop(relay);
                        acted
                    }
                };
                let is_reset = |stream| {
                    let seen = next_byte(stream);
                    seen.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
                };
                let reset = (is_reset(&client), is_reset(&server));
                let expected = match ended {
                    None => (true, true),
                    // It was told the client's end, and that the server's never came says the reset.
                    Some(Who::Client) => (true, false),
                    Some(Who::Server) => (false, true),
                };
                assert_eq!(reset, expected, "{size} {cut:?}");
            }
        }
    }
}

#[tokio::test]
async fn traffic_holds_idle_limits_off() {
    let limits = Limits {
        idle: Some(Duration::from_millis(300)),
        ..Limits::default()
    };
    // Both by copying and by splicing, for longer than the limit.
    for size in [1, 1 << 16] {
        let (outcome, ()) = run(limits, &PipePool::default(), move |client, server| {
            let reader = thread::spawn(move || expect_pattern(&server, size * 8, Duration::ZERO));
            for index in 0..8 {
                (&client).write_all(&pattern(index * size, size)).unwrap();
                thread::sleep(Duration::from_millis(75));
            }
            client.shutdown(Shutdown::Write).unwrap();
            reader.join().unwrap();
        })
        .await;
        assert_eq!(outcome.ended, Ended::Done);
    }
}

#[tokio::test]
async fn a_side_that_has_ended_has_no_idle_limit() {
    let limits = Limits {
        idle_client: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let (outcome, ()) = run(limits, &PipePool::default(), |client, server| {
        client.shutdown(Shutdown::Write).unwrap();
        thread::sleep(Duration::from_millis(200));
        (&server).write_all(b"late").unwrap();
        drop(server);
        assert_eq!(rest(&client), "late");
    })
    .await;
    assert_eq!(outcome.ended, Ended::Done);
}

#[tokio::test]
async fn a_relay_is_closed_from_another_thread_or_before_it_begins() {
    let ends = Ends::new();
    let (relay, flow) = start(
        ends.near_client,
        ends.near_server,
        Limits::default(),
        &PipePool::default(),
    );
    let closing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        flow.close(Closed::Operator);
        flow.close(Closed::Shutdown);
    });
    assert_eq!(relay.await.ended, Ended::Closed(Closed::Operator));
    closing.join().unwrap();
    for told in [&ends.client, &ends.server] {
        let seen = next_byte(told).unwrap_err();
        assert_eq!(seen.kind(), io::ErrorKind::ConnectionReset);
    }

    let ends = Ends::new();
    let (relay, flow) = start(
        ends.near_client,
        ends.near_server,
        Limits::default(),
        &PipePool::default(),
    );
    flow.close(Closed::Shutdown);
    assert_eq!(relay.await.ended, Ended::Closed(Closed::Shutdown));
}
