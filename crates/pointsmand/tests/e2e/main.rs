//! End to end: the real binaries, driven by real programs, on loopback and in network namespaces that
//! the tests make.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says aloud what it skips"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are the clients and servers at both ends, not the data plane"
)]

mod client;
mod control;
mod daemon;
mod nameserver;
mod namespace;
mod origin;
mod state;
mod tls_server;
mod upstream;
mod watching;

mod activation;
mod bitflow;
mod budget;
mod chain;
mod compat;
mod datagrams;
mod dialects;
mod dns;
mod dns_answers;
mod encrypted;
mod fake;
mod forwards;
mod full;
mod games;
mod hardening;
mod known_names;
mod lists;
mod live;
mod log;
mod process;
mod proxy;
mod quic;
mod reflow;
mod requests;
mod resolver;
mod sniff;
mod tools;
mod uplinks;

use std::process::Command;

/// Runs curl; its output and exit code.
fn curl(words: &[&str]) -> (String, i32) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "",
        ])
        .args(words)
        .output()
        .expect("curl is installed (./test installs what the tests need)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code().unwrap_or(-1))
}

/// The sing-box that `cargo xtask test` installs, else the one on the path.
fn sing_box() -> std::path::PathBuf {
    let target =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/sing-box");
    if target.exists() {
        target
    } else {
        "sing-box".into()
    }
}
