//! `tests:`: flows and the outbounds that they must get.

use serde_json::Value as Json;

use super::first_line;
use crate::case;
use crate::flow::NameQuery;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::setup::FlowTest;
use crate::value;
use crate::yaml::{KeyStyle, Node, Style, Value};

/// Reads all.
pub(super) fn read(node: &Node, outbounds: &Outbounds, problems: &mut Problems) -> Vec<FlowTest> {
    let items = node.list("`tests`", problems).iter();
    items
        .filter_map(|item| one(item, outbounds, problems))
        .collect()
}

/// `{ flow: FLOW, expect: OUTBOUND }`, or a line as in a `.case` file.
fn one(item: &Node, outbounds: &Outbounds, problems: &mut Problems) -> Option<FlowTest> {
    let (flow, expect, place) = match &item.value {
        Value::Scalar(text, _)
            if let Some((flow, expect)) = case::halves(text)
                && !expect.is_empty() =>
        {
            (flow.to_owned(), expect.to_owned(), item.span.clone())
        }
        Value::Map(_) => {
            let mut keys = item.keys("a test", KeyStyle::Exact, problems);
            let flow = keys.require("flow", problems);
            let expect = keys.require("expect", problems);
            keys.finish(problems);
            let flow = flow.and_then(|node| flow_of(node, problems));
            let expect = expect?;
            let name = value::name(expect, "`expect`", problems)?.to_owned();
            (flow?, name, expect.span.clone())
        }
        Value::List(_) | Value::Scalar(..) => {
            // Says what is wrong, and what to write; of an empty one, which keys it lacks.
            let mut keys = item.keys("a test", KeyStyle::Exact, problems);
            if item.is_null() {
                keys.require("flow", problems);
                keys.require("expect", problems);
            }
            return None;
        }
    };
    // What is expected of a query is no outbound: it is looked at when the test runs.
    let is_known = NameQuery::is_meant(&flow) || known(&expect, outbounds, &place, problems);
    is_known.then(|| FlowTest {
        flow,
        expect,
        span: first_line(&item.span),
        failing: None,
    })
}

/// A flow in words, or a mapping with the keys of a JSON object.
fn flow_of(node: &Node, problems: &mut Problems) -> Option<String> {
    match &node.value {
        Value::Map(_) => Some(json(node).to_string()),
        Value::List(_) | Value::Scalar(..) => {
            value::name(node, "`flow`", problems).map(str::to_owned)
        }
    }
}

/// The same in JSON: what is bare there may be a number or a word of YAML.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::List(nodes) => nodes.iter().map(json).collect(),
        Value::Map(pairs) => {
            let pairs = pairs.iter();
            let pairs =
                pairs.filter_map(|(key, value)| Some((key.scalar()?.to_owned(), json(value))));
            Json::Object(pairs.collect())
        }
        Value::Scalar(..) if node.is_null() => Json::Null,
        Value::Scalar(text, Style::Plain) => match (text.parse::<u64>(), text.parse::<bool>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(flag)) => flag.into(),
            _ => text.as_str().into(),
        },
        Value::Scalar(text, _) => text.as_str().into(),
    }
}

/// Whether that may be expected: of a forward's connections its name, too; that nothing decides may be meant.
fn known(expect: &str, outbounds: &Outbounds, place: &Span, problems: &mut Problems) -> bool {
    expect == "none"
        || outbounds.find(expect).is_some()
        || outbounds.resolve(expect, place, problems).is_some()
}
