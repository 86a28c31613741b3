//! An interface that is deleted and made again, as by a VPN that connects anew, in a network of the test's own.

use std::process::Command;

use super::*;

/// Says that a test runs in a network of its own.
const WITHIN: &str = "POINTSMAN_WITHIN";
/// What is sent by it reaches nobody, and nobody says so.
const MADE: &str = "ip link add vpn0 type veth peer name far0 && ip addr add 10.9.0.1/24 dev vpn0 && \
     ip addr add fd09::1/64 dev vpn0 nodad && ip link set vpn0 up && ip link set far0 up && \
     ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev vpn0 && \
     ip neigh add fd09::2 lladdr 02:00:00:00:00:01 dev vpn0";
const NAME: &str = "datagram::relay::tests::uplink::flows_outlive_no_interface";

#[test]
fn flows_outlive_no_interface() {
    if std::env::var_os(WITHIN).is_some() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        for server in ["10.9.0.2:9", "[fd09::2]:9"] {
            runtime.block_on(comes_again(server.parse().unwrap()));
        }
        return;
    }
    let program = std::env::current_exe().unwrap();
    let unshare = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--net", "--mount", "sh", "-c", command]);
        unshare.arg(&program).env(WITHIN, "yes").output()
    };
    let setup = format!("ip link set lo up && {MADE}");
    if !unshare(&setup).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network of its own can be made here");
        return;
    }
    let output = unshare(&format!("{setup} && exec \"$0\" --exact {NAME}")).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let done = output.status.success() && said.contains("1 passed");
    assert!(done, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

async fn comes_again(server: SocketAddr) {
    let uplink = Uplink {
        interface: Some("vpn0".into()),
        ..Uplink::default()
    };
    let mut play = play_by(uplink, 0).await;
    let other = SocketAddr::new(server.ip(), 10);
    // Two flows, by one socket.
    for (to, count) in [(server, 1), (other, 2)] {
        play.tells(to, "it leaves", |flows| sent(flows) == count)
            .await;
    }
    for command in ["ip link delete vpn0", MADE] {
        let made = Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(made.success());
    }
    play.tells(server, "both flows end", |flows| flows.recent().len() == 2)
        .await;
    for record in play.shared.flows.recent() {
        assert!(
            matches!(record.ended, Some(End::Failed(..))),
            "{:?}",
            record.ended
        );
    }
    play.tells(server, "it leaves again", |flows| sent(flows) == 1)
        .await;
}

/// Flows of which something left.
fn sent(flows: &Flows) -> usize {
    let live = flows.live();
    let bytes = live.iter().map(|flow| flow.record().bytes_sent);
    bytes.filter(|bytes| *bytes > 0).count()
}

impl Play {
    /// Has the client speak to that address again and again, until that holds.
    async fn tells(&mut self, to: SocketAddr, what: &str, holds: impl Fn(&Flows) -> bool) {
        let mut datagram = Vec::new();
        client_side::write_head(&mut datagram, &RequestHost::Address(to.ip()), to.port());
        datagram.extend_from_slice(b"hello");
        for _ in 0..100 {
            self.client.send_to(&datagram, self.at).await.unwrap();
            let mut pause = pin!(tokio::time::sleep(Duration::from_millis(100)));
            let relay = &mut self.relay;
            poll_fn(|cx| {
                assert!(Pin::new(&mut *relay).poll(cx).is_pending());
                pause.as_mut().poll(cx)
            })
            .await;
            if holds(&self.shared.flows) {
                return;
            }
        }
        panic!("{what}: {:?}", self.shared.flows.recent());
    }
}
