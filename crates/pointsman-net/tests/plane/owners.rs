//! Whose flow it is, and clients that nobody here wrote.

use std::process::Stdio;
use std::time::Duration;

use pointsman_net::outbound::Kind;
use pointsman_policy::condition::{Condition, TextField, TextTest};
use pointsman_policy::fact::{Fact, Geo, InboundKind};
use tokio::io::AsyncWriteExt;

use crate::stage::*;

#[tokio::test]
async fn a_rule_on_processes_sees_who_connects() {
    let server = echo().await;
    let own = std::env::current_exe().unwrap();
    let own = own.file_name().unwrap().to_str().unwrap();
    let is_us = Condition::Text(TextField::ProcessName, TextTest::Exact(own.into()));
    let stage = Script::new()
        .rule(is_us, "DIRECT")
        .fallback("REJECT")
        .play()
        .await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    drop(client);
    let record = stage.record().await;
    let Fact::Known(process, _) = &record.facts.owner else {
        panic!("{:?}", record.facts.owner)
    };
    assert_eq!(process.pid.known(), Some(&std::process::id()));
    assert!(!process.parents.is_empty() && record.took.owner_us > 0);
}

#[tokio::test]
async fn nothing_is_asked_that_no_rule_needs() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    drop(client);
    let facts = &stage.record().await.facts;
    assert_eq!(facts.owner, Fact::Unknown);
    assert_eq!(facts.look, Fact::Unknown);
    assert_eq!(facts.resolved, Fact::Unknown);
    assert_eq!(facts.geo, Fact::<Geo>::Unknown);
}

#[tokio::test]
async fn curl_gets_through_each_kind_of_inbound() {
    let page = serve(|mut client| async move {
        let mut head = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut client, &mut head).await;
        let _ = client
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            .await;
        let _ = client.shutdown().await;
    })
    .await;
    let open = inbound("open", InboundKind::Mixed);
    let closed = with_user(inbound("closed", InboundKind::Mixed), "alice", "se cret");
    let stage = Script::new().inbounds([open, closed]).play().await;
    let url = format!("http://page.test:{}/", page.port());
    for (at, scheme, user) in [
        (0, "socks5h", ""),
        (0, "socks4a", ""),
        (0, "http", ""),
        (1, "socks5h", "alice:se%20cret@"),
        (1, "http", "alice:se%20cret@"),
    ] {
        for tunnel in ["--no-proxytunnel", "--proxytunnel"] {
            let proxy = format!("{scheme}://{user}{}", stage.ports[at]);
            let curl = std::process::Command::new("curl")
                .args(["-sS", "--max-time", "15", tunnel, "-x", &proxy, &url])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            let Ok(curl) = curl else {
                eprintln!("skipped: there is no curl");
                return;
            };
            let output = tokio::task::spawn_blocking(|| curl.wait_with_output());
            let output = output.await.unwrap().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.stdout, b"hello", "{proxy} {tunnel}: {said}");
        }
    }
}

#[tokio::test]
async fn the_process_that_serves_an_outbound_goes_direct() {
    let server = echo().await;
    // A process that listens, and then connects through us: as a proxy core does.
    let script = "import socket,sys\n\
        l=socket.create_server(('127.0.0.1',0)); print(l.getsockname()[1],flush=True)\n\
        p=int(sys.stdin.readline()); s=socket.create_connection(('127.0.0.1',p))\n\
        s.sendall(bytes([5,1,0])); s.recv(2)\n\
        s.sendall(bytes([5,1,0,1,127,0,0,1])+int(sys.stdin.readline()).to_bytes(2,'big'))\n\
        print(s.recv(10)[1],flush=True)";
    let python = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(python.stdout.take().unwrap()));
    let endpoint = format!("127.0.0.1:{}", lines.next().unwrap().unwrap())
        .parse()
        .unwrap();
    let rejecting = Script::new()
        .outbound("core", Kind::Socks5(upstream(endpoint)))
        .fallback("REJECT");
    let stage = rejecting.play().await;
    let mut spec = rejecting.spec();
    spec.guards.push((endpoint, "core".into()));
    stage.plane().apply(spec).await.unwrap();
    let mut to = python.stdin.take().unwrap();
    std::io::Write::write_all(
        &mut to,
        format!("{}\n{}\n", stage.ports[0].port(), server.port()).as_bytes(),
    )
    .unwrap();
    let code = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap());
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(15), code)
            .await
            .unwrap()
            .unwrap(),
        "0"
    );
    python.wait().unwrap();
    let record = stage.record().await;
    assert_eq!(record.outbound.as_deref(), Some("DIRECT"));
    assert!(matches!(&record.facts.guarded, Fact::Known(serves, _) if &**serves == "core"));
    // Whoever else asks is refused.
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("127.0.0.1", server.port()).await, 2);
}
