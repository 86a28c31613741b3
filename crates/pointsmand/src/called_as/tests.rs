//! Other programs' command lines and what they come to, as data.

use clap::Parser as _;

use super::*;
use crate::args::Args;

/// What a command line comes to: the daemon's own words, or the exit code and what is said. `served`: sockets at
/// which a daemon answers.
fn check_in(line: &str, variables: &[(&str, &str)], served: &[&str], expected: &str) {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let around = Around {
        variable: &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        },
        sockets: "/run".into(),
        state: Some("/state".into()),
        process: 77,
        is_directory: &|path| !path.to_string_lossy().contains("missing"),
        is_served: &|path| served.iter().any(|served| Path::new(served) == path),
    };
    let got = match translated(&words, &around) {
        Ok(called) => {
            // The daemon takes what it is given.
            let args = Args::try_parse_from(&called.words);
            assert!(args.is_ok(), "{line}: {args:?}");
            let words = called.words.iter().map(|word| word.to_string_lossy());
            let own: Vec<_> = words.collect();
            if let Some(notice) = called.notice {
                assert!(notice.starts_with("this is Pointsman "), "{notice}");
                assert_eq!(notice.lines().count(), 1, "{notice}");
            }
            format!("{} ! {}", own.join(" "), called.broken)
        }
        Err(Refused::Said(text, code)) => format!("{code}: {text}"),
        Err(Refused::Clap(error)) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            format!("{code}: {:?}", error.kind())
        }
    };
    assert_eq!(got, expected, "{line}");
}

fn check(line: &str, expected: &str) {
    check_in(line, &[], &[], expected);
}

const REFLOW: &str = "pointsmand --dialect reflow --config conf --control /run/reflow.sock --state /state/reflow ! 100";
const BITFLOW: &str = "pointsmand --dialect bitflow --config c.yaml --control /run/bitflow.sock --state /state/bitflow ! 2";

#[test]
fn reflow_takes_a_directory() {
    for line in [
        "reflow --config conf",
        "reflow --config=conf",
        "reflow -c conf",
        "/usr/bin/reflow -cconf",
        "./reflow.exe -c conf",
    ] {
        check(line, REFLOW);
    }
    check("reflow", "2: MissingRequiredArgument");
    check("reflow --config", "2: InvalidValue");
    check("reflow --config conf extra", "2: UnknownArgument");
    check("reflow --workers 2 --config conf", "2: UnknownArgument");
    check("reflow --help", "0: DisplayHelp");
    check("reflow --version", "0: DisplayVersion");
    check(
        "reflow --config missing",
        "99: reflow: missing: there is no such directory; `--config` names the one that holds the file `config`",
    );
}

#[test]
fn any_number_of_those_without_a_socket_of_their_own_run_at_once() {
    check_in(
        "reflow --config conf",
        &[],
        &["/run/reflow.sock"],
        &REFLOW
            .replace("reflow.sock", "reflow-77.sock")
            .replace("/state/reflow", "/state/reflow/run-reflow-77.sock"),
    );
    check_in(
        "bitflow --config c.yaml",
        &[],
        &["/run/reflow.sock"],
        BITFLOW,
    );
    check_in(
        "reflow --config conf",
        &[("POINTSMAN_CONTROL", "/x.sock")],
        &["/run/reflow.sock", "/x.sock"],
        &REFLOW
            .replace("/run/reflow.sock", "/x.sock")
            .replace("/state/reflow", "/state/reflow/x.sock"),
    );
}

#[test]
fn policy_routerd_takes_a_socket_and_a_level() {
    let expected = |config: &str, control: &str, level: &str| {
        let own = match control {
            "/run/policy-routerd.sock" => String::new(),
            other => format!("/{}", other.trim_start_matches('/').replace('/', "-")),
        };
        format!(
            "pointsmand --dialect policy-router --config {config} --control {control} --state \
             /state/policy-routerd{own} --log-level {level} ! 1"
        )
    };
    let usual = "/run/policy-routerd.sock";
    check("policy-routerd", &expected("config.toml", usual, "info"));
    check(
        "policy-routerd --config p.toml --log-level debug",
        &expected("p.toml", usual, "debug"),
    );
    for (told, control) in [
        ("other.sock", "/run/other.sock"),
        ("/tmp/x.sock", "/tmp/x.sock"),
        ("./x.sock", "./x.sock"),
        ("a:b", "a:b"),
    ] {
        let line = format!("policy-routerd --socket {told}");
        check(&line, &expected("config.toml", control, "info"));
    }
    let variables = [
        ("POLICY_ROUTER_SOCKET", "/p.sock"),
        ("POINTSMAN_CONTROL", "/own.sock"),
    ];
    for (line, from, control) in [
        ("policy-routerd --socket /s.sock", 0, "/s.sock"),
        ("policy-routerd", 0, "/p.sock"),
        ("policy-routerd", 1, "/own.sock"),
    ] {
        let expected = expected("config.toml", control, "info");
        check_in(line, &variables[from..], &[], &expected);
    }
    // Its own second daemon fails, so that the first one is not hidden.
    check_in(
        "policy-routerd",
        &[],
        &[usual],
        &expected("config.toml", usual, "info"),
    );
    check(
        "policy-routerd --socket a/b",
        "2: policy-routerd: --socket: `a/b` is no socket's name: a name has no `/`, a path begins with `/` or `./`",
    );
    // Of later releases: not what these documents show.
    check("policy-routerd --watch", "2: UnknownArgument");
}

#[test]
fn bitflow_takes_flags_as_go_has_them() {
    for line in [
        "bitflow --config c.yaml",
        "bitflow --config=c.yaml",
        "bitflow -config c.yaml",
        "bitflow -config=c.yaml",
        "./bin/bitflow-linux-amd64 --config c.yaml",
        "bitflow-darwin-arm64 -config c.yaml",
        "bitflow --config d.yaml -config c.yaml",
        "bitflow -config d.yaml -config c.yaml",
    ] {
        check(line, BITFLOW);
    }
    let variable = [("BITFLOW_CONFIG", "c.yaml")];
    check_in("bitflow", &variable, &[], BITFLOW);
    check_in(
        "bitflow --config d.yaml",
        &variable,
        &[],
        &BITFLOW.replace("c.yaml", "d.yaml"),
    );
    check(
        "bitflow",
        "2: bitflow: there is no configuration; say `--config PATH`, or set BITFLOW_CONFIG",
    );
    check("bitflow c.yaml", "2: UnknownArgument");
    check("bitflow -help", "0: DisplayHelp");
}

#[test]
fn other_names_are_the_daemon_itself() {
    for line in [
        "pointsmand --workers 2",
        "/usr/sbin/pointsmand",
        "bitflow-next",
    ] {
        check(line, &format!("{line} ! 78"));
    }
    check(
        "policy-routerctl",
        "2: policy-routerctl: this is the daemon `pointsmand` under that name; link it to the client `pointsman` \
         instead",
    );
}
