//! Wrong passwords, many of them: their answers wait, and nobody else's do.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pointsman_net::record::End;
use pointsman_policy::fact::InboundKind;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::stage::*;

const WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http,
    Socks,
}

/// Only where the password is of use it is compared: elsewhere the right one and a wrong one get one answer.
#[tokio::test]
async fn who_is_not_allowed_learns_nothing_of_passwords() {
    for speaks in [Speaks::Http, Speaks::Socks] {
        let mut door = with_user(inbound("desk", InboundKind::Mixed), "alice", "right");
        door.admits.allow = Some(vec!["127.0.0.1/32".parse().unwrap()]);
        let stage = Script::new().inbounds([door]).play().await;
        let at = echo().await;
        let door = Door { stage, at, speaks };
        for password in ["right", "wrong"] {
            let mut client = door.told(2, password).await;
            match speaks {
                Speaks::Socks => client.expect([1, 1]).await,
                Speaks::Http => {
                    let head = client.head().await;
                    assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
                }
            }
        }
        let records = door.stage.records(2).await;
        assert!(
            records
                .iter()
                .all(|it| matches!(&it.ended, Some(End::Denied(why)) if why.contains("`allow`"))),
            "{records:?}"
        );
        assert!(door.answer(1, "right").await < WAIT);
    }
}

/// The door that is knocked at.
struct Door {
    stage: Stage,
    at: SocketAddr,
    speaks: Speaks,
}

impl Door {
    async fn open(speaks: Speaks) -> Self {
        let inbound = with_user(inbound("desk", InboundKind::Mixed), "alice", "right");
        let stage = Script::new().inbounds([inbound]).play().await;
        let at = echo().await;
        Self { stage, at, speaks }
    }

    /// A client at an address of its own, whose password has been sent.
    async fn told(&self, from: u8, password: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        let own = Ipv4Addr::new(127, 0, 0, from);
        socket.bind(SocketAddr::from((own, 0))).unwrap();
        let mut client = Client(socket.connect(self.stage.ports[0]).await.unwrap());
        match self.speaks {
            Speaks::Socks => {
                let length = |text: &str| u8::try_from(text.len()).unwrap();
                client.send([5, 1, 2]).await;
                client.expect([5, 2]).await;
                let mut login = vec![1, 5];
                login.extend(b"alice");
                login.push(length(password));
                login.extend(password.as_bytes());
                client.send(login).await;
            }
            Speaks::Http => {
                let login = match password {
                    "right" => "YWxpY2U6cmlnaHQ=",
                    _ => "YWxpY2U6d3Jvbmc=",
                };
                let at = self.at;
                let request =
                    format!("CONNECT {at} HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n");
                client.send(request).await;
            }
        }
        client
    }

    /// How long the answer takes; it is the right one.
    async fn answer(&self, from: u8, password: &str) -> Duration {
        let begun = Instant::now();
        let mut client = self.told(from, password).await;
        let right = password == "right";
        match self.speaks {
            Speaks::Socks => client.expect([1, u8::from(!right)]).await,
            Speaks::Http => {
                let head = client.head().await;
                let status = if right {
                    "HTTP/1.1 200 "
                } else {
                    "HTTP/1.1 407 "
                };
                assert!(head.starts_with(status), "{head}");
            }
        }
        begun.elapsed()
    }

    /// The least of three: a machine that stands still for a second proves nothing.
    async fn least(&self, from: u8, password: &str) -> Duration {
        let first = self.answer(from, password).await;
        let second = self.answer(from, password).await;
        first.min(second).min(self.answer(from, password).await)
    }
}

async fn guessers_wait(speaks: Speaks) {
    let door = Door::open(speaks).await;
    let mut free = WAIT;
    for _ in 0..10 {
        free = free.min(door.answer(1, "wrong").await);
    }
    assert!(free < WAIT, "{free:?}");
    // Both are on their way at once, and the right one does not stand behind the other.
    let (wrong, right) = tokio::join!(door.least(1, "wrong"), door.least(1, "right"));
    assert!(wrong >= WAIT, "{wrong:?}");
    assert!(right < WAIT, "{right:?}");
    let neighbour = door.least(2, "wrong").await;
    assert!(neighbour < WAIT, "{neighbour:?}");
    let why = End::Denied("wrong user or password".into());
    let records = door.stage.records(19).await;
    let denied = records
        .iter()
        .filter(|record| record.ended.as_ref() == Some(&why));
    assert_eq!(denied.count(), 16);
}

#[tokio::test]
async fn guessers_at_socks_wait_and_right_passwords_never_do() {
    guessers_wait(Speaks::Socks).await;
}

#[tokio::test]
async fn guessers_at_http_wait_and_right_passwords_never_do() {
    guessers_wait(Speaks::Http).await;
}

#[tokio::test]
async fn what_is_no_password_is_no_guess() {
    let door = Door::open(Speaks::Http).await;
    for _ in 0..12 {
        for field in [
            "",
            "Proxy-Authorization: Basic !!\r\n",
            "Proxy-Authorization: Bearer x\r\n",
        ] {
            let mut client = door.stage.connect().await;
            client
                .send(format!("CONNECT {} HTTP/1.1\r\n{field}\r\n", door.at))
                .await;
            assert!(client.head().await.starts_with("HTTP/1.1 407 "));
        }
    }
    let door = Door {
        speaks: Speaks::Socks,
        ..door
    };
    for _ in 0..12 {
        let mut client = door.stage.connect().await;
        client.send([5, 1, 2]).await;
        client.expect([5, 2]).await;
        // Another version of the subnegotiation.
        client.send([9, 1, b'a', 1, b'b']).await;
        client.rest().await.unwrap();
    }
    let first = door.least(1, "wrong").await;
    assert!(first < WAIT, "{first:?}");
}

#[tokio::test]
async fn guesses_count_over_protocols_inbounds_and_reloads() {
    let door = Door::open(Speaks::Socks).await;
    for _ in 0..5 {
        door.answer(1, "wrong").await;
    }
    let door = Door {
        speaks: Speaks::Http,
        ..door
    };
    for _ in 0..5 {
        door.answer(1, "wrong").await;
    }
    let Door { mut stage, at, .. } = door;
    let desk = with_user(inbound("desk", InboundKind::Mixed), "alice", "right");
    let other = with_user(inbound("other", InboundKind::Http), "alice", "right");
    let mut script = Script::new().inbounds([other, desk]);
    script.number = 2;
    let bound = stage.plane().apply(script.spec()).await.unwrap();
    stage.ports = bound.into_iter().map(|(_, address)| address).collect();
    let door = Door {
        stage,
        at,
        speaks: Speaks::Http,
    };
    let wrong = door.least(1, "wrong").await;
    assert!(wrong >= WAIT, "{wrong:?}");
}
