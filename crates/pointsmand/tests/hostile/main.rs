//! The hostile world: what bad clients, servers, file systems and operators do to a running daemon.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says aloud what it skips"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests are the clients and servers at both ends, not the data plane"
)]

#[path = "../e2e/daemon.rs"]
#[allow(dead_code, reason = "shared with other suites, which need other parts")]
mod daemon;
#[path = "../e2e/origin.rs"]
#[allow(dead_code, reason = "shared with other suites, which need other parts")]
mod origin;

#[path = "../../../pointsman-tools/src/secrets_tests/hands.rs"]
mod hands;

mod client;
mod control;
mod file_system;
mod list_server;
mod operator;
mod operator_secrets;
