//! `flows`: lists, ends, follows.

use clap::{Args, Subcommand};
use pointsman_api::daemon::Change;
use pointsman_api::flow::{Message, Missed};
use pointsman_api::{FlowList, FlowRecord, route};
use pointsman_config::flow::BadFlow;
use serde_json::Value;

use crate::cli::Global;
use crate::control;
use crate::flow_args::FlowArgs;
use crate::output::{Out, Stop};

/// Arguments of `flows`.
#[derive(Args, Debug)]
pub(crate) struct FlowsArgs {
    #[command(subcommand)]
    what: Option<What>,
}

/// What is done with flows; without a word they are listed.
#[derive(Debug, Subcommand)]
enum What {
    /// Live flows; with a flow in words, those that fit it
    List(ListArgs),
    /// End a flow
    Close {
        /// Its number
        id: u64,
    },
    /// Flows as they end, what rules say of them, and what becomes of the configuration
    Tail,
}

/// Which flows are listed.
#[derive(Args, Debug, Default)]
struct ListArgs {
    /// Those that ended lately, too
    #[arg(long)]
    recent: bool,
    /// Only flows with a greater number
    #[arg(
        long,
        value_name = "ID",
        default_value_t = 0,
        hide_default_value = true
    )]
    after: u64,
    /// So many at most, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only flows with this text in destination, program, rule or outbound
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    #[command(flatten)]
    flow: FlowArgs,
}

pub(crate) fn run(global: &Global, args: &FlowsArgs, out: &mut Out) -> Result<(), Stop> {
    match &args.what {
        None => list(global, &ListArgs::default(), out),
        Some(What::List(which)) => list(global, which, out),
        Some(What::Close { id }) => {
            let path = route::filled(route::FLOW, &id.to_string());
            let record: FlowRecord = control::delete(global, &path)?;
            out.answer(&record, |out| {
                if out.quiet {
                    Ok(())
                } else {
                    out.line(described(&record))
                }
            })
        }
        Some(What::Tail) => control::events(global, route::EVENTS, |name, data| {
            event(name, data, out)?;
            out.flush()
        }),
    }
}

fn list(global: &Global, which: &ListArgs, out: &mut Out) -> Result<(), Stop> {
    let usage = |error: BadFlow| Stop::Usage(error.to_string());
    which.flow.query().map_err(usage)?;
    let flow = match which.flow.value() {
        Value::String(words) => words,
        object => object.to_string(),
    };
    let contains = which.contains.as_deref().unwrap_or_default();
    let mut left = which.limit.unwrap_or(usize::MAX);
    let mut after = which.after;
    let mut all = FlowList::default();
    // A page at a time: a daemon may have a hundred thousand.
    while left > 0 {
        let mut path = format!("{}?recent={}", route::FLOWS, which.recent);
        let mut ask = |key: &str, value: &str| {
            path.push_str(&format!("&{key}={}", route::encoded(value)));
        };
        if after > 0 {
            ask("after", &after.to_string());
        }
        if left < route::MOST_FLOWS {
            ask("limit", &left.to_string());
        }
        for (key, value) in [("flow", &*flow), ("contains", contains)] {
            if !value.is_empty() {
                ask(key, value);
            }
        }
        let page: FlowList = control::get(global, &path)?;
        left = left.saturating_sub(page.flows.len());
        all.flows.extend(page.flows);
        all.next = page.next;
        match page.next {
            Some(next) if next > after => after = next,
            _ => break,
        }
    }
    out.answer(&all, |out| {
        all.flows
            .iter()
            .try_for_each(|flow| out.line(described(flow)))
    })
}

fn event(name: &str, data: &str, out: &mut Out) -> Result<(), Stop> {
    let unread =
        |error: serde_json::Error| Stop::Failed(format!("an event cannot be read: {error}"));
    if out.json() {
        let data: Value = serde_json::from_str(data).map_err(unread)?;
        return out.object(&serde_json::json!({ "event": name, "data": data }));
    }
    match name {
        route::EVENT_END => {
            let record: FlowRecord = serde_json::from_str(data).map_err(unread)?;
            out.line(format_args!("{name} {}", described(&record)))
        }
        route::EVENT_MESSAGE => {
            let Message { flow, id, text } = serde_json::from_str(data).map_err(unread)?;
            out.line(format_args!("message flow {flow} ({id}): {text}"))
        }
        route::EVENT_GENERATION => {
            let change: Change = serde_json::from_str(data).map_err(unread)?;
            let until = change.until.map(|until| format!(" until {until}"));
            let why = change.why.map(|why| format!(": {why}"));
            out.line(format_args!(
                "generation {} {}{}{}",
                change.generation,
                change.what,
                until.unwrap_or_default(),
                why.unwrap_or_default()
            ))
        }
        route::EVENT_MISSED => {
            let Missed { missed } = serde_json::from_str(data).map_err(unread)?;
            out.line(format_args!("{missed} events were missed"))
        }
        route::EVENT_RESET => out.line("events before this were lost"),
        // A newer daemon's.
        _ => Ok(()),
    }
}

/// `7 tcp 127.0.0.1:5000 -> example.com:443 proxy (proxy) 12 ms, 1 B sent, 2 B received: closed`.
fn described(record: &FlowRecord) -> String {
    let source = record.source.as_deref().unwrap_or("?");
    let host = record
        .destination
        .host
        .as_deref()
        .or(record.domain.as_deref());
    let host = host.or(record.inbound.name.as_deref()).unwrap_or("?");
    let port = record
        .destination
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let outbound = record.outbound.as_deref().unwrap_or("none");
    let member = record
        .member
        .as_ref()
        .map(|member| format!("/{member}"))
        .unwrap_or_default();
    let ended = match (&record.ended, &record.error) {
        (None, _) => "live".to_owned(),
        (Some(ended), None) => ended.clone(),
        (Some(ended), Some(error)) => format!("{ended}: {error}"),
    };
    format!(
        "{} {} {source} -> {host}{port} {outbound}{member} ({}) {} ms, {} B sent, {} B received, {ended}",
        record.id,
        record.network,
        record.action.as_str(),
        record.duration_ms,
        record.bytes_sent,
        record.bytes_received,
    )
}
