//! Explanations: a decision, the rule that took it, and the way there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action::Action;
use crate::flow::{Inbound, ProcessRef};

/// The decision on one flow and its trace. The order of the fields is part of the contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The flow's `id`, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// Where the flow goes.
    pub decision: Decision,
    /// The rule that decided; `null` where nothing matched.
    pub rule: Option<Rule>,
    /// One sentence.
    pub reason: String,
    /// The rules visited, in order.
    pub trace: Vec<TraceLine>,
    /// The hops of the chain that it goes through, first the one that is dialled; absent where it is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<String>,
    /// Who is asked for the name that it goes to, where that is looked up here and the configuration says by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_up: Option<LookUp>,
    /// The facts that were asked for, in order: `sniff`, `resolve`, `owner`, `country`, `local`, `verdict`.
    pub asked: Vec<String>,
    /// For app and domain rules alone.
    #[serde(flatten)]
    pub app_domain: Option<AppDomain>,
    /// The generation that decided: the daemon's answers alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// What the flow itself went through, in order: live and recent flows alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<FlowStep>,
    /// Requests whose answer is not known, and what would follow from each: described flows alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// The flow itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Explained>,
    /// What was not said and could change the answer, in sentences: described flows alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// Who is asked for a name, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUp {
    /// The name.
    pub name: String,
    /// The upstream as it is named, where it has a name.
    pub upstream: Option<String>,
    /// Its servers, each with the way to it; empty where nobody is asked.
    pub servers: Vec<String>,
    /// One sentence.
    pub reason: String,
    /// The rule for queries that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// The flow that is explained. What nobody said or asked is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// When it was accepted, as RFC 3339 has it: live and recent flows alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How it ended, in the word of its record: flows that ended alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What broke, which limit was over, or why it was refused: flows that ended alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `tcp`, `udp` or `icmp`.
    pub network: String,
    /// `host:port`, `[v6]:port`, or a host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// A name that was learned of it besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What its first bytes are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The client, `address:port` or an address alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// The program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// How it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Inbound>,
}

/// A `.REQUEST` that would be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The subscriber's number.
    pub id: u32,
    /// The rule on one line.
    pub text: String,
    /// Its file, relative to the configuration's directory.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// How long a flow waits, in seconds.
    pub timeout_s: u64,
    /// The route that is suggested: `CONTINUE`, `REJECT` or `BLACKHOLE`.
    pub suggested_route: String,
    /// The route where nobody answers; the decision above is by it.
    pub fallback: String,
    /// What follows from each answer.
    pub answers: Vec<Outlook>,
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// `CONTINUE`, `REJECT` or `BLACKHOLE`.
    pub answer: String,
    /// Where the flow would go.
    pub decision: Decision,
}

/// A step that a flow took on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowStep {
    /// What was asked (`sniff`, `resolve`, `owner`, `country`, `local`, `verdict`), or `dial`.
    pub step: String,
    /// What came of it, in words.
    pub outcome: String,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// Where a flow goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decision {
    /// The outbound as the configuration spells it; `null` where the policy does not decide.
    pub outbound: Option<String>,
    /// What becomes of the flow.
    pub action: Action,
    /// For a group: its member; for a forward: the target.
    pub member: Option<String>,
    /// The groups between `outbound` and `member`, outermost first; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// A rule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// As written, on one line.
    pub text: String,
    /// Relative to the configuration's directory.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// The list entry that matched.
    pub entry: Option<Entry>,
}

/// An entry of a list or zone file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As written.
    pub text: String,
    /// Relative to the configuration's directory.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TraceLine {
    /// A rule visited.
    Visit(Visit),
    /// So many rules in a row that did not hold.
    Skipped {
        /// How many.
        skipped: usize,
    },
}

/// A rule visited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Relative to the configuration's directory.
    pub file: String,
    /// From 1; 0 for what no file says (the loop guard).
    pub line: u32,
    /// As written.
    pub text: String,
    /// `yes`, `no` or `unknown`.
    pub result: String,
    /// The values seen, and where they came from.
    pub because: String,
}

/// What app and domain rules have besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDomain {
    /// `block_app`, `block_domain`, `domain_rule`, `app_rule` or `default`.
    pub source: String,
    /// The egress that the rule names.
    pub rule_egress: String,
    /// `null` for the default.
    pub matcher: Option<Matcher>,
}

/// How a pattern matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// `exact` or `suffix`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As written, trimmed.
    pub pattern: String,
}

/// What is asked of [`crate::route::EXPLAIN`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// A FLOW object, as in a line of `--flows`, or a text of words.
    pub flow: Value,
    /// Every rule visited, none folded.
    #[serde(default)]
    pub full: bool,
    /// Whether names that the flow does not resolve are resolved by the daemon.
    #[serde(default)]
    pub resolve: bool,
    /// Whether the list's entry that decided is compared with the file, which is read for it.
    #[serde(default)]
    pub verify: bool,
}
