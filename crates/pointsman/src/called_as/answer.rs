//! The daemon's answers as `policy-routerctl` gives them, in JSON and as text.

use std::fmt::Write as _;

use pointsman_api::explain::Matcher;
use pointsman_api::{Diagnostics, Error as Refusal, Explanation, OutboundState, Status};
use serde::Serialize;

/// An answer. The order of the fields is part of the contract.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer {
    OkStatus {
        uptime_ms: u64,
        config_path: String,
        egress: Vec<Egress>,
    },
    OkReload,
    OkStop,
    OkExplain {
        decision: Decision,
    },
    OkDiagnostics {
        uptime_ms: u64,
        config_path: String,
        socket: String,
        egress_count: usize,
        running: bool,
        ipc_requests: u64,
        reload_ok: u64,
        reload_err: u64,
    },
    Err {
        message: String,
    },
}

/// One `[egress.NAME]`.
#[derive(Debug, Serialize)]
pub(super) struct Egress {
    id: String,
    kind: String,
    endpoint: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Decision {
    egress: String,
    reason: String,
    source: String,
    rule_egress: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    matcher: Option<Matcher>,
}

impl Answer {
    pub(super) fn status(status: &Status) -> Self {
        let mut egress: Vec<Egress> = egresses(status).map(Egress::from).collect();
        egress.sort_by(|a, b| a.id.cmp(&b.id));
        Self::OkStatus {
            uptime_ms: status.uptime_ms,
            config_path: status.config_path.clone().unwrap_or_default(),
            egress,
        }
    }

    pub(super) fn diagnostics(status: &Status, told: &Diagnostics) -> Self {
        Self::OkDiagnostics {
            uptime_ms: told.uptime_ms,
            config_path: told.config_path.clone().unwrap_or_default(),
            socket: told.socket.clone(),
            egress_count: egresses(status).count(),
            running: told.running,
            ipc_requests: told.ipc_requests,
            reload_ok: told.reload_ok,
            reload_err: told.reload_err,
        }
    }

    pub(super) fn explained(told: &Explanation) -> Self {
        let (Some(egress), Some(app_domain)) = (&told.decision.outbound, &told.app_domain) else {
            let message =
                "the daemon's configuration has no app and domain rules; ask `pointsman explain`";
            return Self::Err {
                message: message.to_owned(),
            };
        };
        Self::OkExplain {
            decision: Decision {
                egress: egress.clone(),
                reason: told.reason.clone(),
                source: app_domain.source.clone(),
                rule_egress: app_domain.rule_egress.clone(),
                matcher: app_domain.matcher.clone(),
            },
        }
    }

    /// What the daemon refused, with the problems of a configuration that was not taken.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let problems = refusal.problems.into_iter().map(|problem| problem.text);
        let lines: Vec<String> = std::iter::once(refusal.error).chain(problems).collect();
        Self::Err {
            message: lines.join("\n"),
        }
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Err { .. })
    }

    /// For scripts, on several lines.
    pub(super) fn json(&self) -> String {
        // Texts and numbers alone: they can be written.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }

    /// For people. `quiet`: what the exit code says is not said.
    pub(super) fn text(&self, quiet: bool) -> String {
        match self {
            Self::OkStatus {
                uptime_ms,
                config_path,
                egress,
            } => {
                let head = lines(&[
                    ("uptime_ms", &uptime_ms.to_string()),
                    ("config_path", config_path),
                ]);
                let egress: String = egress.iter().map(Egress::text).collect();
                format!("{head}egress:\n{egress}")
            }
            Self::OkReload | Self::OkStop if quiet => String::new(),
            Self::OkReload => "reloaded: true\n".to_owned(),
            Self::OkStop => "stopping: true\n".to_owned(),
            Self::OkExplain { decision } => decision.text(),
            Self::OkDiagnostics {
                uptime_ms,
                config_path,
                socket,
                egress_count,
                running,
                ipc_requests,
                reload_ok,
                reload_err,
            } => lines(&[
                ("uptime_ms", &uptime_ms.to_string()),
                ("config_path", config_path),
                ("socket", socket),
                ("egress_count", &egress_count.to_string()),
                ("running", &running.to_string()),
                ("ipc_requests", &ipc_requests.to_string()),
                ("reload_ok", &reload_ok.to_string()),
                ("reload_err", &reload_err.to_string()),
            ]),
            Self::Err { message } => lines(&[("error", message)]),
        }
    }
}

/// What the configuration declares: for app and domain rules, not what is built in besides.
fn egresses(status: &Status) -> impl Iterator<Item = &OutboundState> {
    let declared = status.outbounds.iter().any(|o| o.declared.is_some());
    let outbounds = status.outbounds.iter();
    outbounds.filter(move |outbound| !declared || outbound.declared.is_some())
}

impl From<&OutboundState> for Egress {
    fn from(outbound: &OutboundState) -> Self {
        // A sing-box is reached by SOCKS5.
        let scheme = if outbound.kind == "http" {
            "http"
        } else {
            "socks5"
        };
        let endpoint = outbound.endpoint.as_ref();
        Self {
            id: outbound.name.clone(),
            kind: outbound.declared.as_ref().unwrap_or(&outbound.kind).clone(),
            endpoint: endpoint.map(|endpoint| format!("{scheme}://{endpoint}")),
        }
    }
}

impl Egress {
    fn text(&self) -> String {
        let mut text = format!("  - id: {}\n    kind: {}\n", self.id, self.kind);
        if let Some(endpoint) = &self.endpoint {
            // Writing into a text cannot fail.
            let _ = writeln!(text, "    endpoint: {endpoint}");
        }
        text
    }
}

impl Decision {
    fn text(&self) -> String {
        let head = lines(&[
            ("egress", &self.egress),
            ("source", &self.source),
            ("rule_egress", &self.rule_egress),
        ]);
        let matcher = self.matcher.as_ref().map(|matcher| {
            let Matcher { kind, pattern } = matcher;
            format!("matcher:\n  type: {kind}\n  pattern: {pattern}\n")
        });
        let reason = lines(&[("reason", &self.reason)]);
        head + &matcher.unwrap_or_default() + &reason
    }
}

fn lines(pairs: &[(&str, &str)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect()
}
