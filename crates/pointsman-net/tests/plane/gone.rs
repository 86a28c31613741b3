//! Clients that hang up while somebody is waited for: their flow ends at once, and frees what it holds.

use pointsman_net::record::End;
use pointsman_policy::condition::{AddressOf, Asks, Condition};

use crate::stage::*;

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    InOrder,
    ByReset,
}

/// Whether a rule has the name resolved, or the dial has.
#[derive(Clone, Copy, Debug)]
enum Waits {
    Rule,
    Dial,
}

/// A request for a name whose look-up never ends.
async fn ask(client: &mut Client, protocol: &str) {
    match protocol {
        "socks5" => {
            client.send([5, 1, 0]).await;
            client.expect([5, 0]).await;
            client.send(socks5_request("silent.test", 1)).await;
        }
        "connect" => {
            let head = "CONNECT silent.test:1 HTTP/1.1\r\nHost: silent.test:1\r\n\r\n";
            client.send(head).await;
        }
        _plain => {
            let head = "GET http://silent.test:1/ HTTP/1.1\r\nHost: silent.test:1\r\n\r\n";
            client.send(head).await;
        }
    }
}

#[tokio::test]
async fn whoever_hangs_up_ends_look_ups_at_once() {
    for waits in [Waits::Rule, Waits::Dial] {
        let mut script = Script::new();
        script.limits.resolve = PATIENCE * 10;
        script.limits.dial = PATIENCE * 10;
        if matches!(waits, Waits::Rule) {
            let condition = Condition::Address {
                of: AddressOf::Destination,
                prefix: "192.0.2.0/24".parse().unwrap(),
                asks: Asks::Resolve,
            };
            script.rules.push((condition, "REJECT"));
        }
        let stage = script.play().await;
        let mut count = 0;
        for protocol in ["socks5", "connect", "plain"] {
            for leaves in [Leaves::InOrder, Leaves::ByReset] {
                let mut client = stage.connect().await;
                ask(&mut client, protocol).await;
                // It waits as soon as it is known where to.
                let waiting = async {
                    while !stage.plane().flows().iter().any(|flow| {
                        let record = flow.record();
                        match waits {
                            Waits::Rule => record.facts.destination.known().is_some(),
                            Waits::Dial => record.decision.is_some(),
                        }
                    }) {
                        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                    }
                };
                tokio::time::timeout(PATIENCE, waiting).await.unwrap();
                if matches!(leaves, Leaves::ByReset) {
                    pointsman_os::socket::reset_on_close(&client.0).unwrap();
                }
                drop(client);
                count += 1;
                let record = stage.records(count).await.remove(count - 1);
                assert_eq!(
                    record.ended,
                    Some(End::ClientGone),
                    "{protocol} {leaves:?} {waits:?}"
                );
            }
        }
        assert!(stage.plane().flows().is_empty());
    }
}
