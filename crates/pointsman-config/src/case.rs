//! A policy's own tests: flows and the outbounds that they must get.
//!
//! A `.case` file has one case a line, `FLOW => OUTBOUND # why`. FLOW is words or a JSON object;
//! OUTBOUND `none` says that the policy must not decide.

mod expect;
mod verify;

use pointsman_api::{Explanation, NameExplanation};

pub use expect::Expectable;
pub use verify::{Beside, Lenience, beside, in_doubt, retest, verify};

use crate::explain::{Decided, Detail, First, LookedInto, name_looked};
use crate::flow::{NameQuery, Query};
use crate::setup::{FlowTest, Setup};
use pointsman_policy::near::nearest;

/// One flow and what it must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file it stands in.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// The flow as written.
    pub flow: String,
    /// The outbound's name, or `none`.
    pub expect: String,
}

/// A case that did not come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Which.
    pub case: Case,
    /// What came instead.
    pub got: Got,
    /// The fetched rule sets that it looked into: with other copies it may come out.
    pub looked_into: LookedInto,
    /// The outbounds that it may get, whatever the rule sets hold that were never fetched; empty where it looked into
    /// none of those.
    pub possible: Vec<String>,
    /// Whether what is expected is among them.
    open: bool,
}

/// What came instead of what was expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    /// The flow cannot be read, or the line is no case; says why.
    Unreadable(String),
    /// Another way.
    Other(Box<Explanation>),
    /// Somebody else who is asked for the name, or another answer.
    Name(Box<NameExplanation>),
}

impl Failure {
    /// One that cannot be run, and why.
    fn unreadable(case: Case, why: impl Into<String>) -> Self {
        Self {
            case,
            got: Got::Unreadable(why.into()),
            looked_into: LookedInto::default(),
            possible: Vec::new(),
            open: false,
        }
    }

    /// The outbound that it got, `none` where the policy did not decide; `None` where nobody asked.
    #[must_use]
    pub fn outbound(&self) -> Option<&str> {
        match &self.got {
            Got::Unreadable(_) => None,
            Got::Other(explanation) => Some(outbound(explanation)),
            Got::Name(explanation) => Some(end(explanation)),
        }
    }

    /// Whether it may come out once rule sets are fetched that it looked into: no fault of the policy so far.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Where it looked into rule sets that were never fetched, and none of what they may hold leads to what is
    /// expected: a sentence that says where all of it leads.
    #[must_use]
    pub fn in_vain(&self) -> Option<String> {
        let sets = &self.looked_into.unfetched;
        if self.open || sets.is_empty() {
            return None;
        }
        let sets = match sets.as_slice() {
            [set] => format!("the rule set `{set}` holds"),
            sets => format!("the rule sets `{}` hold", sets.join("`, `")),
        };
        let ends = self.possible.join("` or `");
        Some(format!("whatever {sets}, it gets `{ends}`"))
    }

    /// Why it got that.
    #[must_use]
    pub fn reason(&self) -> &str {
        match &self.got {
            Got::Unreadable(why) => why,
            Got::Other(explanation) => &explanation.reason,
            Got::Name(explanation) => &explanation.reason,
        }
    }
}

/// `file:line: flow: expected X, got Y: why`.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case {
            file,
            line,
            flow,
            expect,
        } = &self.case;
        match self.outbound() {
            Some(got) => write!(
                f,
                "{file}:{line}: {flow}: expected {expect}, got {got}: {}",
                self.reason()
            ),
            None => write!(f, "{file}:{line}: {flow}: {}", self.reason()),
        }?;
        match self.in_vain() {
            Some(ends) => write!(f, "; {ends}"),
            None => Ok(()),
        }
    }
}

/// Reads a `.case` file: its cases, and a failure for each line that is none.
#[must_use]
pub fn parse(file: &str, text: &str) -> (Vec<Case>, Vec<Failure>) {
    let mut cases = Vec::new();
    let mut failures = Vec::new();
    for (line, text) in (1_u32..).zip(text.lines()) {
        let text = without_comment(text).trim();
        if text.is_empty() {
            continue;
        }
        let (flow, expect) = halves(text).unwrap_or((text, ""));
        let case = Case {
            file: file.to_owned(),
            line,
            flow: flow.to_owned(),
            expect: expect.to_owned(),
        };
        if case.expect.is_empty() {
            failures.push(Failure::unreadable(case, "a case is `FLOW => OUTBOUND`"));
        } else {
            cases.push(case);
        }
    }
    (cases, failures)
}

/// What stands before `=>` and behind it.
pub(crate) fn halves(text: &str) -> Option<(&str, &str)> {
    let arrow = outside_quotes(text, |at| text[at..].starts_with("=>"))?;
    Some((text[..arrow].trim(), unquoted(text[arrow + 2..].trim())))
}

/// The tests that a configuration brings along.
#[must_use]
pub fn of_setup(setup: &Setup) -> Vec<Case> {
    setup.tests.iter().map(Case::from).collect()
}

impl From<&FlowTest> for Case {
    fn from(test: &FlowTest) -> Self {
        Self {
            file: test.span.file().to_string(),
            line: test.span.line(),
            flow: test.flow.clone(),
            expect: test.expect.clone(),
        }
    }
}

/// Runs cases with the first member of each group selected; what did not come out, in their order.
#[must_use]
pub fn run(setup: &Setup, cases: &[Case]) -> Vec<Failure> {
    let names = Expectable::of(setup);
    cases
        .iter()
        .filter_map(|case| failure(setup, case, &names))
        .collect()
}

/// What did not come out of a case.
fn failure(setup: &Setup, case: &Case, names: &Expectable) -> Option<Failure> {
    let unreadable = |why: String| Some(Failure::unreadable(case.clone(), why));
    if NameQuery::is_meant(&case.flow) {
        return failure_of_name(setup, case);
    }
    let query = match Query::parse(&case.flow) {
        Ok(query) => query,
        Err(error) => return unreadable(error.to_string()),
    };
    let decided = match Decided::of(setup, &query) {
        Ok(decided) => decided,
        Err(error) => return unreadable(error.to_string()),
    };
    // It would come out, and say nothing of any flow.
    if let Some(why) = decided.impossible() {
        return unreadable(why);
    }
    let name = |outbound: Option<_>| outbound.map_or(NONE, |outbound| decided.name(outbound));
    let way = decided.way(&First);
    if way.refused.is_some() && names.wants_rejected(&case.expect) {
        return None;
    }
    match names.meets(&case.expect, name(way.outbound)) {
        Ok(true) => None,
        Ok(false) => {
            let looked_into = decided.looked_into();
            let mut possible: Vec<String> = Vec::new();
            if !looked_into.unfetched.is_empty() {
                let outbounds = decided.possible(&First).into_iter();
                possible.extend(outbounds.map(|outbound| name(outbound).to_owned()));
            }
            let passes = |got: &String| names.meets(&case.expect, got) == Ok(true);
            Some(Failure {
                case: case.clone(),
                got: Got::Other(Box::new(decided.explanation(&First, Detail::Folded))),
                open: possible.iter().any(passes),
                looked_into,
                possible,
            })
        }
        Err(why) => unreadable(why),
    }
}

/// The same of a query for a name: what is expected is an upstream, or an answer.
fn failure_of_name(setup: &Setup, case: &Case) -> Option<Failure> {
    let unreadable = |why: String| Some(Failure::unreadable(case.clone(), why));
    let query = match NameQuery::parse(&case.flow) {
        Ok(query) => query,
        Err(error) => return unreadable(error.to_string()),
    };
    let (explanation, looked_into) = match name_looked(setup, &query, Detail::Folded) {
        Ok(told) => told,
        Err(why) => return unreadable(why.to_owned()),
    };
    let got = end(&explanation);
    if got.eq_ignore_ascii_case(&case.expect) {
        return None;
    }
    let server = setup.dns.iter();
    let upstreams = server.flat_map(|dns| dns.what.upstreams.iter().map(|it| &*it.name));
    let known: Vec<&str> = upstreams.chain(ANSWERS).collect();
    let is_known = known.iter().any(|it| it.eq_ignore_ascii_case(&case.expect));
    if !is_known {
        let hint = match nearest(&case.expect, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        let expect = &case.expect;
        return unreadable(format!(
            "there is no upstream or answer `{expect}` ({hint})"
        ));
    }
    // What was never fetched may hold anything.
    let open = !looked_into.unfetched.is_empty();
    Some(Failure {
        case: case.clone(),
        possible: if open {
            vec![got.to_owned()]
        } else {
            Vec::new()
        },
        got: Got::Name(Box::new(explanation)),
        open,
        looked_into,
    })
}

/// The upstream that is asked, or the answer.
fn end(explanation: &NameExplanation) -> &str {
    explanation.upstream.as_deref().unwrap_or(&explanation.end)
}

fn outbound(explanation: &Explanation) -> &str {
    explanation.decision.outbound.as_deref().unwrap_or(NONE)
}

/// A comment begins with `#` at the start or behind white space, outside quotes.
fn without_comment(line: &str) -> &str {
    let begins = |at: usize| {
        line[at..].starts_with('#') && (at == 0 || line[..at].ends_with(char::is_whitespace))
    };
    outside_quotes(line, begins).map_or(line, |at| &line[..at])
}

/// The first place outside quotes that is `wanted`.
fn outside_quotes(text: &str, wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, _) if wanted(at) => return Some(at),
            (None, _) => {}
        }
    }
    None
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

/// What may be expected of a query besides upstreams.
const ANSWERS: [&str; 8] = [
    "drop", "hosts", "local", "nobody", "nodata", "nxdomain", "refused", "zero",
];

/// What stands for "the policy does not decide".
const NONE: &str = "none";

#[cfg(test)]
mod tests;
