//! Whose flow it is, and clients that nobody here wrote.

use std::net::SocketAddr;
use std::process::Stdio;

use pointsman_net::spec::{Guard, ServedBy};
use pointsman_policy::Action;
use pointsman_policy::condition::{Condition, TextField, TextTest};
use pointsman_policy::decision::Reason;
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
    let Fact::Known(process, _) = &record.facts.sought.owner else {
        panic!("{:?}", record.facts.sought.owner)
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
    assert_eq!(facts.sought.owner, Fact::Unknown);
    assert_eq!(facts.sought.look, Fact::Unknown);
    assert_eq!(facts.sought.resolved, Fact::Unknown);
    assert_eq!(facts.sought.geo, Fact::<Geo>::Unknown);
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

/// A process that listens, and then asks our proxy for addresses: as a proxy core does.
struct Core {
    python: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
    endpoint: SocketAddr,
}

impl Core {
    /// `None` where there is no python3. What stands in `forks` says who asks.
    fn start(forks: &str) -> Option<Self> {
        let script = "import encodings.idna,os,socket,sys\n\
            l=socket.create_server(('127.0.0.1',0)); print(l.getsockname()[1],flush=True)\n\
            r,w=os.pipe()\n\
            def waits(): os.close(w); os.read(r,1); os._exit(0)\n\
            FORKS\n\
            for line in sys.stdin:\n\
            \x20 p,t=map(int,line.split()); s=socket.create_connection(('127.0.0.1',p))\n\
            \x20 s.sendall(bytes([5,1,0])); s.recv(2)\n\
            \x20 s.sendall(bytes([5,1,0,1,127,0,0,1])+t.to_bytes(2,'big'))\n\
            \x20 print(s.recv(10)[1],flush=True)\n\
            \x20 s.close()";
        let python = std::process::Command::new("python3")
            .args(["-c", &script.replace("FORKS", forks)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut python = python.ok()?;
        let out = python.stdout.take().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out));
        let port: u16 = lines.next().unwrap().unwrap().parse().unwrap();
        Some(Self {
            python,
            lines,
            endpoint: SocketAddr::from(([127, 0, 0, 1], port)),
        })
    }

    fn path(&self) -> std::path::PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", self.python.id())).unwrap()
    }

    /// The code of our proxy's answer.
    async fn ask(mut self, proxy: SocketAddr, target: SocketAddr) -> (Self, u8) {
        let asking = tokio::task::spawn_blocking(move || {
            let line = format!("{} {}\n", proxy.port(), target.port());
            let to = self.python.stdin.as_mut().unwrap();
            std::io::Write::write_all(to, line.as_bytes()).unwrap();
            let code = self.lines.next().unwrap().unwrap().parse().unwrap();
            (self, code)
        });
        tokio::time::timeout(PATIENCE, asking)
            .await
            .unwrap()
            .unwrap()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        drop(self.python.stdin.take());
        let _ = self.python.wait();
    }
}

#[tokio::test]
async fn a_process_that_serves_an_outbound_goes_direct_where_the_rules_say_proxy() {
    let server = echo().await;
    let Some(mut core) = Core::start("") else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let closed = nobody().await;
    let (endpoint, path) = (core.endpoint, core.path());
    let script = Script::new()
        .outbound("core", socks5(closed))
        .fallback("core");
    let stage = script.play().await;
    for by in [
        ServedBy::Endpoint(endpoint),
        ServedBy::Program(path),
        ServedBy::User("root".into()),
    ] {
        let mut spec = script.spec();
        spec.guards.push(Guard {
            outbound: "core".into(),
            by: by.clone(),
            instead: Vec::new(),
        });
        stage.plane().apply(spec).await.unwrap();
        let before = stage.plane().recent().len();
        let code;
        (core, code) = core.ask(stage.ports[0], server).await;
        if matches!(by, ServedBy::User(_)) && code != 0 {
            eprintln!("skipped: the tests do not run as root");
            continue;
        }
        assert_eq!(code, 0, "{by:?}");
        let record = stage.records(before + 1).await.pop().unwrap();
        assert_eq!(record.outbound.as_deref(), Some("DIRECT"), "{by:?}");
        let decision = record.decision.as_ref().unwrap();
        assert!(matches!(&decision.reason, Reason::LoopGuard { serves } if &**serves == "core"));
        assert!(decision.rule.is_some(), "the rule that it overrode");
        if !matches!(by, ServedBy::User(_)) {
            // Whoever else asks is sent to the proxy, where nobody is.
            let mut client = stage.connect().await;
            assert_eq!(client.socks5("127.0.0.1", server.port()).await, 5, "{by:?}");
            stage.records(before + 2).await;
        }
    }
}

/// Of a master and its workers one was known, and the flows of all others went round.
#[tokio::test]
async fn whoever_holds_the_listening_socket_serves() {
    let server = echo().await;
    let closed = nobody().await;
    let script = Script::new()
        .outbound("core", socks5(closed))
        .fallback("core");
    let stage = script.play().await;
    for (who, forks) in [
        ("the master of a worker", "os.fork() or waits()"),
        (
            "the older of two workers",
            "if os.fork():\n os.fork() or waits()\n os.close(w); os.wait(); sys.exit()",
        ),
        (
            "a worker of another user",
            "if os.fork():\n os.close(w); os.wait(); sys.exit()\nos.getuid() or os.setuid(65534)",
        ),
    ] {
        let Some(core) = Core::start(forks) else {
            eprintln!("skipped: there is no python3");
            return;
        };
        let mut spec = script.spec();
        spec.guards.push(Guard {
            outbound: "core".into(),
            by: ServedBy::Endpoint(core.endpoint),
            instead: Vec::new(),
        });
        stage.plane().apply(spec).await.unwrap();
        let before = stage.plane().recent().len();
        let (_core, code) = core.ask(stage.ports[0], server).await;
        assert_eq!(code, 0, "{who}");
        let record = stage.records(before + 1).await.pop().unwrap();
        assert_eq!(record.outbound.as_deref(), Some("DIRECT"), "{who}");
        // Whoever else asks is sent to the proxy, where nobody is.
        let mut client = stage.connect().await;
        assert_eq!(client.socks5("127.0.0.1", server.port()).await, 5, "{who}");
        stage.records(before + 2).await;
    }
}

#[tokio::test]
async fn the_guard_is_no_way_past_a_refusal_or_another_direct_way() {
    let server = echo().await;
    let Some(mut core) = Core::start("") else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let endpoint = core.endpoint;
    let script = Script::new()
        .outbound("core", socks5(endpoint))
        .outbound("link", direct(Default::default()));
    let stage = script.play().await;
    let expected = [("REJECT", 2, Action::Reject), ("link", 0, Action::Direct)];
    for (number, (outbound, code, action)) in (1..).zip(expected) {
        let mut spec = script.clone().fallback(outbound).spec();
        spec.guards.push(Guard {
            outbound: "core".into(),
            by: ServedBy::Endpoint(endpoint),
            instead: Vec::new(),
        });
        stage.plane().apply(spec).await.unwrap();
        let answered;
        (core, answered) = core.ask(stage.ports[0], server).await;
        assert_eq!(answered, code, "{outbound}");
        let record = stage.records(number).await.pop().unwrap();
        assert_eq!(
            (record.outbound.as_deref(), record.action),
            (Some(outbound), Some(action))
        );
        // Where no proxy was chosen nobody asked.
        assert_eq!(record.facts.sought.serves, Fact::Unknown);
    }
}
