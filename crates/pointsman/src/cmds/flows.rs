//! `flows`: lists, ends, follows.

use clap::{Args, Subcommand};
use pointsman_api::daemon::Change;
use pointsman_api::flow::{Message, Missed, Untold};
use pointsman_api::{FlowList, FlowRecord, route};
use pointsman_config::flow::BadFlow;
use pointsman_policy::shown::plain;
use serde_json::Value;

use crate::control;
use crate::flow_args::FlowArgs;
use crate::options::Global;
use crate::output::{Out, Stop};
use crate::table::{self, Side};
use crate::wording::{self, since, size, span};

/// Arguments of `flows`.
#[derive(Args, Debug)]
pub(crate) struct FlowsArgs {
    #[command(subcommand)]
    what: Option<What>,
}

/// What is done with flows; without a word they are listed.
#[derive(Debug, Subcommand)]
enum What {
    /// List live flows; with FLOW only those that match it
    List(ListArgs),
    /// End a flow
    Close {
        /// Its number
        id: u64,
    },
    /// Follow flows as they begin and end, messages of rules, and changes of the configuration; with FLOW only flows that match it
    Tail(Filter),
}

/// Which flows are meant.
#[derive(Args, Debug, Default)]
struct Filter {
    /// Only flows with this text in destination, program, rule or outbound
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    #[command(flatten)]
    flow: FlowArgs,
}

impl Filter {
    /// As a query has them.
    fn query(&self) -> Result<Vec<(&'static str, String)>, Stop> {
        let usage = |error: BadFlow| Stop::Usage(error.to_string());
        self.flow.query().map_err(usage)?;
        let flow = match self.flow.value() {
            Value::String(words) => words,
            object => object.to_string(),
        };
        let contains = self.contains.clone().unwrap_or_default();
        let mut all = vec![("flow", flow), ("contains", contains)];
        all.retain(|(_, value)| !value.is_empty());
        Ok(all)
    }
}

/// Which flows are listed.
#[derive(Args, Debug, Default)]
struct ListArgs {
    /// Also flows that ended recently
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
    /// At most this many flows, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    filter: Filter,
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
        Some(What::Tail(filter)) => {
            let mut path = format!("{}?begun=true", route::EVENTS);
            for (key, value) in filter.query()? {
                path.push_str(&format!("&{key}={}", route::encoded(&value)));
            }
            control::events(global, &path, |name, data| {
                event(name, data, out)?;
                out.flush()
            })
            .map_err(control::said_wrongly)?;
            out.say(control::ENDED);
            Ok(())
        }
    }
}

fn list(global: &Global, which: &ListArgs, out: &mut Out) -> Result<(), Stop> {
    let filter = which.filter.query()?;
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
        for (key, value) in &filter {
            ask(key, value);
        }
        let page = control::get(global, &path);
        let page: FlowList = page.map_err(control::said_wrongly)?;
        left = left.saturating_sub(page.flows.len());
        all.flows.extend(page.flows);
        all.next = page.next;
        if let Some(untold) = page.untold {
            let flows = all.untold.map_or(0, |earlier| earlier.flows);
            let flows = flows + untold.flows;
            all.untold = Some(Untold { flows, ..untold });
        }
        match page.next {
            Some(next) if next > after => after = next,
            _ => break,
        }
    }
    out.answer(&all, |out| {
        if all.flows.is_empty() {
            let which = match (which.recent, filter.is_empty()) {
                (false, true) => "no live flows",
                (true, true) => "no flows",
                (_, false) => "no such flows",
            };
            out.say(which);
        } else {
            let rows: Vec<_> = all.flows.iter().map(row).collect();
            for line in table::lines(COLUMNS, &rows, out.width()) {
                out.line(line)?;
            }
        }
        if let Some(untold) = &all.untold {
            out.say(wording::untold(untold));
        }
        Ok(())
    })
}

const COLUMNS: [(&str, Side); 9] = [
    ("ID", Side::Right),
    ("AGE", Side::Right),
    ("CLIENT", Side::Left),
    ("PROGRAM", Side::Left),
    ("DESTINATION", Side::Left),
    ("OUTBOUND", Side::Left),
    ("SENT", Side::Right),
    ("RECEIVED", Side::Right),
    ("STATE", Side::Left),
];

fn row(record: &FlowRecord) -> [String; 9] {
    let process = record.process.as_ref().and_then(wording::program);
    [
        record.id.to_string(),
        span(since(record.start)),
        record.source.clone().unwrap_or_else(|| "-".into()),
        process.unwrap_or_else(|| "-".into()),
        going(record),
        way(record),
        size(record.bytes_sent),
        size(record.bytes_received),
        state(record),
    ]
    .map(|cell| plain(&cell))
}

/// `live`, or how it ended and after how long; and which targets rested when it began.
fn state(record: &FlowRecord) -> String {
    let lasted = span(record.duration_ms);
    let state = match (&record.ended, &record.error) {
        (None, _) => "live".to_owned(),
        (Some(ended), None) => format!("{ended} after {lasted}"),
        (Some(ended), Some(error)) => format!("{ended} after {lasted}: {error}"),
    };
    let passed_by = record.passed_by.iter().map(|it| &*it.target);
    match passed_by.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => state,
        targets => format!("{state}; {targets} passed by"),
    }
}

/// The way out, and for a forward where its target is.
fn way(record: &FlowRecord) -> String {
    let FlowRecord {
        outbound,
        groups,
        member,
        target,
        ..
    } = record;
    let way = wording::way(outbound.as_deref(), groups, member.as_deref());
    match target {
        Some(target) => format!("{way} ({target})"),
        None => way,
    }
}

/// What it is, and where it goes: `tcp a.test:443`.
fn going(record: &FlowRecord) -> String {
    match record.association {
        true => "UDP association".to_owned(),
        false => format!("{} {}", record.network, place(record)),
    }
}

/// Where it goes; for a forward, which knows its own targets, its name.
fn place(record: &FlowRecord) -> String {
    let host = record.destination.host.as_deref();
    let host = match record.dns_name_from.as_deref() {
        // It was gone to by an address that stands for the name.
        Some("answer" | "fake") => record.domain.as_deref().or(host),
        _ => host.or(record.domain.as_deref()),
    };
    let forward = record.inbound.name.as_deref();
    let forward = forward.filter(|_| record.inbound.kind == "forward");
    // Who was not let in, or left, asked for nothing.
    let host = host.or(forward).unwrap_or("-");
    match record.destination.port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn event(name: &str, data: &str, out: &mut Out) -> Result<(), Stop> {
    let unread =
        |error: serde_json::Error| Stop::Failed(format!("an event cannot be read: {error}"));
    if out.json() {
        let data: Value = serde_json::from_str(data).map_err(unread)?;
        return out.object(&serde_json::json!({ "event": name, "data": data }));
    }
    match name {
        route::EVENT_BEGIN => {
            let record: FlowRecord = serde_json::from_str(data).map_err(unread)?;
            out.line(format_args!("{name} {}", plain(&led(&record))))
        }
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
            if change.what == "refused" {
                let why = change.why.unwrap_or_default();
                return out.line(format_args!(
                    "a reload was refused, generation {} stays in force: {why}",
                    change.generation
                ));
            }
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
        route::EVENT_UNTOLD => {
            let untold: Untold = serde_json::from_str(data).map_err(unread)?;
            out.say(wording::untold(&untold));
            Ok(())
        }
        route::EVENT_RESET => out.line("events before this were lost"),
        // A newer daemon's.
        _ => Ok(()),
    }
}

/// `7 tcp 127.0.0.1:5000 -> example.com:443 group › proxy (proxy) 12 ms, 1 B sent, 2 B received, closed`.
fn described(record: &FlowRecord) -> String {
    let ended = match (&record.ended, &record.error) {
        (None, _) => "live".to_owned(),
        (Some(ended), None) => ended.clone(),
        (Some(ended), Some(error)) => format!("{ended}: {error}"),
    };
    plain(&format!(
        "{} {} ms, {} B sent, {} B received, {ended}",
        led(record),
        record.duration_ms,
        record.bytes_sent,
        record.bytes_received,
    ))
}

/// `7 tcp 127.0.0.1:5000 -> example.com:443 group › proxy (proxy)`.
fn led(record: &FlowRecord) -> String {
    let source = record.source.as_deref().unwrap_or("?");
    let process = record.process.as_ref().and_then(wording::program);
    let process = process.map_or_else(String::new, |name| format!(" {name}"));
    let place = match record.association {
        true => "UDP association".to_owned(),
        false => place(record),
    };
    format!(
        "{} {} {source}{process} -> {place} {} ({})",
        record.id,
        record.network,
        way(record),
        record.action.as_str(),
    )
}
