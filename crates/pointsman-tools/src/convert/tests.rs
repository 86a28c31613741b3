//! What is converted decides as the original: flows made of all that a configuration mentions.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::dns::LOCAL_NAMES;
use super::{Conversion, from_setup};
use crate::damage::shared;
use pointsman_config::explain::{Detail, First, explain};
use pointsman_config::files::{Disk, Files, Memory};
use pointsman_config::flow::Query;
use pointsman_config::input::Input;
use pointsman_config::list::Shelf;
use pointsman_config::load::{Loaded, load, load_text};
use pointsman_config::problem::{Problems, Source};
use pointsman_config::setup::{Dialect, Setup};

mod carried;
mod corners;
mod encrypted;
mod fixtures;
mod foreign;
mod hosts;
mod modes;
mod parts;
mod replaced;
mod rules;
mod served;
mod summary;
mod told;
mod types;
mod widens;

/// The converted text, loaded from the directory of the original.
pub(super) fn loaded(text: &str, directory: &Path, files: &dyn Files) -> Setup {
    let input = Input {
        source: Source::new("converted.yaml", text.to_owned()),
        path: directory.join("converted.yaml"),
        directory: directory.to_owned(),
        files,
        state: None,
        shelf: &Shelf::fresh(),
        lists: RefCell::default(),
        patience: Default::default(),
    };
    let Loaded {
        setup, problems, ..
    } = load_text(input, Some(Dialect::Native), Problems::default());
    let problems: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    setup.unwrap_or_else(|| panic!("{}\n{text}", problems.join("\n")))
}

/// Where a flow goes, and what becomes of it.
pub(super) fn way(setup: &Setup, flow: &str) -> String {
    let query = Query::parse(flow).unwrap_or_else(|error| panic!("{flow}: {error}"));
    match explain(setup, &query, &First, Detail::Folded) {
        Ok(answer) => {
            let outbound = answer.decision.outbound.unwrap_or_default();
            format!(
                "{} {}",
                outbound.to_lowercase(),
                answer.decision.action.as_str()
            )
        }
        Err(error) => format!("error: {error}"),
    }
}

/// All that looks like a name, an address, a port or a process.
fn mentions(texts: &[String]) -> (Vec<String>, Vec<u16>, Vec<String>) {
    let (mut hosts, mut ports, mut processes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let separators = |c: char| c.is_whitespace() || ",[]{}\"'#=>|\\".contains(c);
    for line in texts.iter().flat_map(|text| text.lines()) {
        for word in line.split(separators).filter(|word| !word.is_empty()) {
            let bare = word.trim_matches(':').trim_start_matches('.');
            let host = bare.split('/').next().unwrap_or(bare);
            if let Ok(port) = host.parse::<u16>() {
                ports.insert(port.max(1));
            } else if host.contains('.') && pointsman_policy::Host::parse(host).is_ok() {
                hosts.insert(host.to_owned());
                // Names may be written root first.
                let labels: Vec<&str> = host.split('.').rev().collect();
                hosts.insert(labels.join("."));
            }
            if host.ends_with(".exe") || line.contains("PROCESS") {
                processes.insert(host.to_owned());
            }
        }
    }
    let hosts = hosts.into_iter().collect();
    let ports = ports.into_iter().chain([22, 80, 443]).collect();
    (hosts, ports, processes.into_iter().collect())
}

/// Some 300 flows, the same each time.
fn flows(texts: &[String], setup: &Setup) -> Vec<String> {
    let (hosts, ports, processes) = mentions(texts);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below.max(1) as u64).unwrap_or(0)
    };
    let ways: Vec<String> = setup
        .inbounds
        .iter()
        .map(|inbound| inbound.name.to_string())
        .chain(setup.forwards.iter().map(|f| format!("forward:{}", f.name)))
        .collect();
    let mut flows = Vec::new();
    for _ in 0..300 {
        let host = hosts
            .get(next(hosts.len()))
            .map_or("example.org", String::as_str);
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        let host = match (next(5), is_address) {
            (0, false) => format!("www.{host}"),
            (1, false) => format!("x{host}"),
            (2, false) => host.split_once('.').map_or(host, |(_, up)| up).to_owned(),
            (0 | 1, true) => host.rsplit_once('.').map_or_else(
                || host.to_owned(),
                |(net, _)| format!("{net}.{}", next(256)),
            ),
            _ => host.to_owned(),
        };
        let mut flow = format!("dst={host}:{}", ports[next(ports.len())]);
        if next(4) == 0 {
            flow.push_str(" network=udp");
        }
        if next(3) == 0 && !processes.is_empty() {
            flow.push_str(&format!(" process={}", processes[next(processes.len())]));
        }
        if next(2) == 0 {
            let words = ["tls", "http", "ssh", "other"];
            flow.push_str(&format!(" protocol={}", words[next(4)]));
            if next(2) == 0 {
                flow.push_str(&format!(
                    " domain={}",
                    hosts.get(next(hosts.len())).map_or("a.test", |h| h)
                ));
            }
        }
        let addresses: Vec<&String> = hosts
            .iter()
            .filter(|h| h.parse::<std::net::IpAddr>().is_ok())
            .collect();
        if next(2) == 0 && !addresses.is_empty() {
            flow.push_str(&format!(" resolved={}", addresses[next(addresses.len())]));
        }
        if next(3) == 0 {
            flow.push_str(&format!(" src=10.0.0.{}:{}", next(256), 1 + next(60000)));
        }
        if ways.len() > 1 || (!setup.forwards.is_empty()) {
            flow.push_str(&format!(" inbound={}", ways[next(ways.len())]));
        }
        if Query::parse(&flow).is_ok() {
            flows.push(flow);
        }
    }
    assert!(flows.len() > 150, "{}", flows.len());
    flows
}

/// Converts, and compares both on all flows.
pub(super) fn agrees(path: &Path, files: &dyn Files) -> Conversion {
    let Loaded {
        setup, problems, ..
    } = load(path, None, None, files);
    let shown: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    let setup = setup.unwrap_or_else(|| panic!("{}", shown.join("\n")));
    let conversion = from_setup(&setup, "", &problems);
    let directory: PathBuf = setup.directory.clone();
    let native = loaded(&conversion.text, &directory, files);
    let texts: Vec<String> = setup
        .files
        .iter()
        .filter_map(|file| String::from_utf8(files.read(file, 1 << 20).ok()?).ok())
        .collect();
    let mut answers = BTreeSet::new();
    for flow in flows(&texts, &setup) {
        let expected = way(&setup, &flow);
        let now = way(&native, &flow).replace("-2 ", " ");
        assert_eq!(now, expected, "{flow}\n{}", conversion.text);
        answers.insert(expected);
    }
    assert!(
        answers.len() > 1,
        "the flows find one way alone: {answers:?}"
    );
    assert_eq!(native.inbounds.len(), setup.inbounds.len());
    assert_eq!(native.forwards.len(), setup.forwards.len());
    conversion
}

#[test]
fn samples_decide_as_before() {
    for sample in [
        "samples/reflow",
        "samples/boltconn/config.yml",
        "samples/policy-router/config.toml",
    ] {
        let Some(path) = shared(sample) else { return };
        let conversion = agrees(&path, &Disk);
        let mut report = conversion.report.iter();
        let flows = report.all(|remark| remark.equal || remark.text == LOCAL_NAMES);
        assert!(flows, "{:?}", conversion.report);
    }
}

#[test]
fn the_sample_of_forwards_is_said_whole() {
    let Some(path) = shared("samples/bitflow/config.yaml") else {
        return;
    };
    let Loaded {
        setup, problems, ..
    } = load(&path, None, None, &Disk);
    let setup = setup.unwrap();
    let conversion = from_setup(&setup, "", &problems);
    assert!(conversion.is_equal(), "{:?}", conversion.report);
    let native = loaded(&conversion.text, &setup.directory, &Disk);
    assert_eq!(native.forwards.len(), setup.forwards.len());
    for (was, is) in setup.forwards.iter().zip(&native.forwards) {
        let said = |of: &Setup, f: &pointsman_config::setup::Forward| {
            let targets = of.targets_of(f).map(|(name, target)| {
                let mut target = target.clone();
                // Nobody waits before the only attempt.
                if target.attempts == 1 {
                    target.backoff = std::time::Duration::ZERO;
                }
                format!("{name} {target:?}")
            });
            let targets: Vec<String> = targets.collect();
            let balancing = of.balancing_of(f).cloned();
            let mut f = f.clone();
            f.span = setup.forwards[0].span.clone();
            f.door.policy = pointsman_config::setup::PolicyId::default();
            f.group = pointsman_policy::OutboundId(0);
            format!("{f:?} {balancing:?} {targets:?}")
        };
        assert_eq!(said(&native, is), said(&setup, was));
    }
}

#[test]
fn native_stays_as_it_is_written() {
    let text = "version: 1 # mine\npolicy: direct\ninbounds: { a: { type: mixed, listen: 0 } }\n";
    let files = Memory::new([("c.yaml", text)]);
    let Loaded {
        setup, problems, ..
    } = load(Path::new("c.yaml"), None, None, &files);
    let conversion = from_setup(&setup.unwrap(), text, &problems);
    assert_eq!(conversion.text, text);
}

#[test]
fn limits_that_are_not_the_usual_ones_are_written() {
    for line in [
        "timeouts: { dial: 3s, first_byte: off, idle: 1d }",
        "udp: { idle: 2m, idle_by_protocol: { dns: 5s, quic: 1m }, nat: full-cone, flows: 10, flows_by_client: 5, held: 2048B, offload: off }",
        "udp: { nat: port }",
    ] {
        limits_are_written(line);
    }
}

fn limits_are_written(line: &str) {
    let text = format!(
        "version: 1\npolicy: direct\ninbounds: {{ a: {{ type: mixed, listen: 0 }} }}\n{line}\n"
    );
    let files = Memory::new([("c.yaml", text.as_str())]);
    let Loaded {
        setup, problems, ..
    } = load(Path::new("c.yaml"), None, None, &files);
    let mut setup = setup.unwrap();
    // As if another language had such limits.
    setup.dialect = Dialect::Reflow;
    let conversion = from_setup(&setup, "", &problems);
    let native = loaded(&conversion.text, Path::new(""), &Memory::default());
    assert_eq!(native.timeouts, setup.timeouts);
    assert_eq!(native.datagrams, setup.datagrams);
    assert!(
        conversion.text.lines().any(|l| l == line),
        "{}",
        conversion.text
    );
}
