//! A sing-box as upstream proxy, and proxies that say what a test tells them to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use crate::daemon::{Running, eventually};
use crate::namespace::Namespace;

/// The login that it wants.
pub(crate) const USER: &str = "alice";
/// The password; with a colon, which HTTP's encoding must survive.
pub(crate) const PASSWORD: &str = "se:cret";
/// A name that only it knows: whoever reaches it had the proxy resolve it.
pub(crate) const NAME: &str = "only-upstream-knows.test";

/// A sing-box with a SOCKS5 and an HTTP inbound with login, everything direct.
pub(crate) struct SingBox {
    /// Where it speaks SOCKS5.
    pub(crate) socks: SocketAddr,
    /// Where it speaks HTTP.
    pub(crate) http: SocketAddr,
    running: Option<Running>,
    directory: tempfile::TempDir,
}

impl SingBox {
    /// Starts it on ports of the kernel's choice.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let text = format!(
            r#"{{"log":{{"level":"info","output":{log:?},"timestamp":false}},
              "dns":{{"servers":[{{"type":"hosts","tag":"fixed","predefined":{{"{NAME}":["127.0.0.1"]}}}}]}},
              "inbounds":[
                {{"type":"socks","tag":"s","listen":"127.0.0.1","listen_port":0,"users":[{{"username":"{USER}","password":"{PASSWORD}"}}]}},
                {{"type":"http","tag":"h","listen":"127.0.0.1","listen_port":0,"users":[{{"username":"{USER}","password":"{PASSWORD}"}}]}}],
              "outbounds":[{{"type":"direct","tag":"d"}}],
              "route":{{"default_domain_resolver":"fixed"}}}}"#
        );
        let file = directory.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(crate::sing_box());
        command.arg("run").arg("-c").arg(&file);
        let running = Running::start(command);
        eventually("sing-box starts", || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("sing-box started"))
        });
        let said = std::fs::read_to_string(&log).unwrap();
        let at = |inbound: &str| {
            let line = said.lines().find(|line| line.contains(inbound)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        Self {
            socks: at("inbound/socks[s]"),
            http: at("inbound/http[h]"),
            running: Some(running),
            directory,
        }
    }

    /// What it logged: each connection with its destination.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Ends it, and with it all that it carries.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }
}

/// A sing-box within a namespace, SOCKS5 and HTTP without login, whose flows leave by an address of
/// their own. `hosts` are the names that it knows, as JSON: `"name":"address",...`.
pub(crate) fn leaving_by(
    namespace: &Namespace,
    directory: &Path,
    at: SocketAddr,
    address: &str,
    hosts: &str,
) -> Running {
    let (listen, port) = (at.ip(), at.port());
    let text = format!(
        r#"{{"log":{{"disabled":true}},
           "dns":{{"servers":[{{"type":"hosts","tag":"fixed","predefined":{{{hosts}}}}}]}},
           "inbounds":[{{"type":"mixed","listen":"{listen}","listen_port":{port}}}],
           "outbounds":[{{"type":"direct","inet4_bind_address":"{address}"}}],
           "route":{{"default_domain_resolver":"fixed"}}}}"#
    );
    let file = directory.join(format!("sing-box-{port}.json"));
    std::fs::write(&file, text).unwrap();
    let mut command = namespace.command(crate::sing_box().to_str().unwrap());
    command.arg("run").arg("-c").arg(&file);
    let running = Running::start(command);
    namespace.until_listening(port);
    running
}

/// A proxy that answers each part of `script` to one read, and hangs up.
pub(crate) fn scripted(script: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            for answer in script {
                let mut heard = [0; 4096];
                if stream.read(&mut heard).is_err() || stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    address
}
