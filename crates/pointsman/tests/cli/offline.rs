//! Verbs that need no daemon: what their tests stand on.

mod cases;
mod check;
mod explain;
mod fmt;
mod policy;
mod usage;

use expect_test::Expect;

use crate::{Run, directory, run};

const POLICY: &str = r#"[defaults]
egress = "direct"
[egress.vpn]
type = "singbox"
endpoint = "socks5://127.0.0.1:1488"
[egress.proxy]
type = "socks5"
endpoint = "socks5://127.0.0.1:1080"
[egress.direct]
type = "direct"
[rules.app]
vpn = ["zen.exe"]
[rules.domain]
proxy = ["youtube.com"]
"#;

/// A directory with `POLICY` and files of other kinds.
fn home() -> tempfile::TempDir {
    directory(&[
        ("r.toml", POLICY),
        ("bad.toml", &POLICY.replace("vpn = [\"zen", "vpm = [\"zen")),
        ("warned/w.toml", &warned()),
        (
            "reflow/config",
            "relay {\n rule=r\n listen=socks5 127.0.0.1:1080\n}\nrule r = any [\n  reset\n]\n",
        ),
        ("cases/r.toml", POLICY),
        (
            "cases/good.case",
            "dst=youtube.com:1 => proxy # why\nprocess=zen.exe => vpn\n",
        ),
        ("cases/wrong.case", "\ndst=a.example:1 => vpn\nwhat\n"),
        ("laid.tree", "any [\n  direct\n]\n"),
        ("odd.tree", "any[direct # why\n]"),
        ("broken.tree", "any [ direct"),
        ("flows", "{\"dst\":\"youtube.com:1\"}\n"),
    ])
}

/// Exit code, stdout, and stderr behind a line `--`, of a run in [`home`].
fn check(arguments: &[&str], stdin: &str, expected: Expect) {
    let home = home();
    let Run {
        code,
        stdout,
        stderr,
    } = run(home.path(), arguments, stdin);
    let home = home.path().display().to_string();
    expected.assert_eq(&format!("{code}\n{stdout}--\n{stderr}").replace(&home, "HOME"));
}

fn warned() -> String {
    POLICY.replace(
        "[rules.app]",
        "[egress.other]\ntype = \"socks5\"\nendpoint = \"socks5://127.0.0.1:2\"\n[rules.app]\nother = [\"a\"]\nproxy = [\"a\"]",
    )
}
