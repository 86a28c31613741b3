//! Logins that belong to a connection (NTLM, Negotiate): requests of one client connection share the server's.

use std::net::SocketAddr;

use pointsman_policy::fact::InboundKind;
use pointsman_spec::address::Uplink;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::stage::*;

const ASKS: &str = "HTTP/1.1 401 X\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";
const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

type Arriving = mpsc::UnboundedReceiver<TcpStream>;

/// A server that hands over each connection.
async fn servers() -> (SocketAddr, Arriving) {
    let (sender, arrived) = mpsc::unbounded_channel();
    let address = serve(move |client| {
        let _ = sender.send(client);
        std::future::ready(())
    });
    (address.await, arrived)
}

fn get(at: &str) -> String {
    format!("GET http://{at}/ HTTP/1.1\r\nAuthorization: NTLM x\r\n\r\n")
}

/// A request whose server's connection is a new one.
async fn anew(client: &mut Client, servers: &mut Arriving, at: &str, answer: &str) -> Client {
    client.send(get(at)).await;
    let mut server = Client(timeout(PATIENCE, servers.recv()).await.unwrap().unwrap());
    let head = server.head().await;
    assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
    server.send(answer).await;
    client.head().await;
    server
}

/// A request on a connection that the server has already.
async fn again(client: &mut Client, server: &mut Client, at: &str, answer: &str) {
    client.send(get(at)).await;
    let head = server.head().await;
    assert!(head.contains("\r\nAuthorization: NTLM x\r\n"), "{head}");
    server.send(answer).await;
    assert_eq!(client.head().await.get(..12), answer.get(..12));
}

#[tokio::test]
async fn after_a_login_is_asked_for_requests_share_a_connection() {
    let (at, mut arriving) = servers().await;
    let at = at.to_string();
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let mut server = anew(&mut client, &mut arriving, &at, ASKS).await;
    again(&mut client, &mut server, &at, ASKS).await;
    again(&mut client, &mut server, &at, PLAIN).await;
    again(&mut client, &mut server, &at, PLAIN).await;
    // Nobody else's requests go there.
    let mut other = stage.connect().await;
    anew(&mut other, &mut arriving, &at, PLAIN).await;
    assert_eq!(stage.records(5).await.len(), 5, "each is a flow of its own");
    drop(client);
    assert_eq!(server.rest().await.unwrap(), b"");
}

#[tokio::test]
async fn without_such_a_login_each_request_has_its_own() {
    let (at, mut arriving) = servers().await;
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    for answer in [
        PLAIN,
        "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 X\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        // What came behind the answer would be taken for the next one.
        "HTTP/1.1 401 X\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n",
    ] {
        anew(&mut client, &mut arriving, &at.to_string(), answer).await;
    }
}

#[tokio::test]
async fn requests_to_another_host_leave_it() {
    let (at, mut arriving) = servers().await;
    let (elsewhere, mut arriving_elsewhere) = servers().await;
    let (at, elsewhere) = (at.to_string(), elsewhere.to_string());
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let mut server = anew(&mut client, &mut arriving, &at, ASKS).await;
    anew(&mut client, &mut arriving_elsewhere, &elsewhere, PLAIN).await;
    // Under another name it is another host.
    let named = at.replace("127.0.0.1", "named.test");
    anew(&mut client, &mut arriving, &named, PLAIN).await;
    again(&mut client, &mut server, &at, PLAIN).await;
}

#[tokio::test]
async fn a_kept_connection_that_breaks_has_the_client_ask_again() {
    let (at, mut arriving) = servers().await;
    let at = at.to_string();
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let mut server = anew(&mut client, &mut arriving, &at, ASKS).await;
    client.send(get(&at)).await;
    server.head().await;
    drop(server);
    // An error would be an answer; a close is what clients of kept connections know.
    assert_eq!(client.rest().await.unwrap(), b"");
}

#[tokio::test]
async fn another_decision_drops_it() {
    let (at, mut arriving) = servers().await;
    let at = at.to_string();
    let script = Script::new().outbound("also", direct(Uplink::default()));
    let members = ["DIRECT", "REJECT", "also"]
        .map(|name| script.id(name))
        .to_vec();
    let uplink = Uplink::default();
    let script = script
        .outbound("group", select(members, uplink))
        .fallback("group");
    let stage = script.play().await;
    let mut client = stage.connect().await;
    let mut first = anew(&mut client, &mut arriving, &at, ASKS).await;
    stage.plane().select("group", "also").unwrap();
    let mut second = anew(&mut client, &mut arriving, &at, ASKS).await;
    assert_eq!(first.rest().await.unwrap(), b"", "given up");
    stage.plane().select("group", "REJECT").unwrap();
    client.send(get(&at)).await;
    assert!(client.head().await.starts_with("HTTP/1.1 403 "));
    assert_eq!(second.rest().await.unwrap(), b"");
    // A reload is another decision, whatever it decides.
    stage.plane().select("group", "DIRECT").unwrap();
    let mut client = stage.connect().await;
    let mut third = anew(&mut client, &mut arriving, &at, ASKS).await;
    let mut next = script.clone();
    next.number = 2;
    stage.plane().apply(next.spec()).await.unwrap();
    anew(&mut client, &mut arriving, &at, ASKS).await;
    assert_eq!(third.rest().await.unwrap(), b"");
}

#[tokio::test]
async fn it_carries_requests_of_one_user_alone() {
    let (at, mut arriving) = servers().await;
    let door = with_user(inbound("door", InboundKind::Http), "alice", "a");
    let stage = Script::new()
        .inbounds([with_user(door, "bob", "b")])
        .play()
        .await;
    let mut client = stage.connect().await;
    // A proxy in front that sends both by one connection; the logins are `alice:a` and `bob:b`.
    let request = |login: &str| {
        format!("GET http://{at}/ HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\n\r\n")
    };
    client.send(request("YWxpY2U6YQ==")).await;
    let mut first = Client(timeout(PATIENCE, arriving.recv()).await.unwrap().unwrap());
    first.head().await;
    first.send(ASKS).await;
    client.head().await;
    client.send(request("Ym9iOmI=")).await;
    let mut second = Client(timeout(PATIENCE, arriving.recv()).await.unwrap().unwrap());
    second.head().await;
    second.send(PLAIN).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(first.rest().await.unwrap(), b"", "given up");
}
