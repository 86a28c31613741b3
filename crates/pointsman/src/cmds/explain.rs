//! `explain`: where a flow goes, and why.

mod names;
mod text;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use pointsman_api::flow::{Missed, Untold};
use pointsman_api::{DnsOutcome, DnsReply, ExplainRequest, Explanation, route};
use pointsman_config::Setup;
use pointsman_config::explain::{Decided, Detail, First, explain, hint_of_groups, verify};
use pointsman_config::flow::{BadFlow, Query};
use pointsman_config::list::searched;
use serde_json::{Value, json};

use crate::cmds::expected::Expected;
use crate::files::{ThisHost, is_stdin};
use crate::flow_args::FlowArgs;
use crate::options::{Dialect, Format, Global, Unknown};
use crate::output::{Out, Stop};
use crate::{control, load, wording};

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    flow: FlowArgs,
    /// Explain by this configuration, without a daemon (`-`: stdin); the default is the running daemon's
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The language of the configuration
    #[arg(long, value_enum, default_value = "auto", requires = "config")]
    dialect: Dialect,
    /// What a rule does when its look-up fails; overrides the key `on_unknown`
    #[arg(long, value_enum, value_name = "WHAT", requires = "config")]
    on_unknown: Option<Unknown>,
    /// Flows, one JSON object a line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
    /// The outbound that you expect; the exit code is 1 if it is another. `none`: the policy does not decide
    #[arg(long, value_name = "OUTBOUND")]
    expect: Option<String>,
    /// Show every rule that was visited
    #[arg(long)]
    full: bool,
    /// Let the daemon resolve names
    #[arg(long)]
    resolve: bool,
    /// A live or recent flow of the daemon, by its number
    #[arg(long, value_name = "N", conflicts_with_all = ["config", "flows", "resolve"])]
    id: Option<u64>,
    /// Follow: explain each flow as the daemon decides it; with FLOW only those that match it
    #[arg(long, conflicts_with_all = ["config", "flows", "resolve", "id", "expect"])]
    follow: bool,
    /// Who the DNS server asks for this name, and why
    #[arg(long, value_name = "NAME", conflicts_with_all = ["flows", "resolve", "id", "follow", "expect"])]
    dns: Option<String>,
    /// With `--dns`: the type that is asked for
    #[arg(
        long = "type",
        value_name = "TYPE",
        requires = "dns",
        default_value = "A"
    )]
    kind: String,
    /// With `--dns`: what the upstream answers: addresses, names that it leads to, a code, comma-separated
    #[arg(long, value_name = "ANSWER", requires = "dns")]
    answer: Option<String>,
    /// With `--dns`: the client who asks
    #[arg(long, value_name = "ADDRESS", requires = "dns")]
    client: Option<IpAddr>,
    /// With `--follow`: only flows with this text in destination, program, rule or outbound
    #[arg(long, value_name = "TEXT", requires = "follow")]
    contains: Option<String>,
}

pub(crate) fn run(global: &Global, args: &ExplainArgs, out: &mut Out) -> Result<(), Stop> {
    let said = usize::from(!args.flow.is_empty());
    if let Some(name) = &args.dns {
        if said > 0 {
            return Err(Stop::Usage("say a flow or `--dns`, but one of them".into()));
        }
        return names::run(global, args, name, out);
    }
    if said + usize::from(args.id.is_some()) + usize::from(args.flows.is_some()) > 1 {
        return Err(Stop::Usage(
            "say a flow, `--flows` or `--id`, but one of them".into(),
        ));
    }
    let from_stdin = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdin);
    if from_stdin(&args.config) && from_stdin(&args.flows) {
        return Err(Stop::Usage(
            "`--config` and `--flows` cannot both come by stdin".into(),
        ));
    }
    if args.follow {
        return follow(global, args, out);
    }
    if let Some(id) = args.id {
        let path = route::filled(route::FLOW_EXPLAIN, &id.to_string());
        let explanation: Explanation = control::get(global, &format!("{path}?full={}", args.full))?;
        write(&explanation, args, out)?;
        let expect = args.expect.as_deref();
        return Expected::new(global, expect, None).check(&explanation, out);
    }
    let setup = match &args.config {
        Some(path) => {
            let mut setup = load::setup(path, args.dialect)?;
            if let Some(on_unknown) = args.on_unknown {
                setup.set_on_unknown(on_unknown.chosen());
            }
            Some(setup)
        }
        None => None,
    };
    let asker = Asker {
        global,
        args,
        setup,
    };
    match &args.flows {
        Some(path) => asker.lines(path, out),
        None => {
            let explanation = match &asker.setup {
                Some(setup) => {
                    let query = args
                        .flow
                        .query()
                        .map_err(|error| Stop::Usage(error.to_string()))?;
                    let mut explanation = asker
                        .offline(setup, query)?
                        .map_err(|error| Stop::Usage(error.to_string()))?;
                    verify(&mut explanation, &setup.lists, &ThisHost);
                    explanation
                }
                None => {
                    args.flow
                        .query()
                        .map_err(|error| Stop::Usage(error.to_string()))?;
                    let explained = asker.online(args.flow.value(), true);
                    explained.map_err(control::said_wrongly)?
                }
            };
            write(&explanation, args, out)?;
            asker.expected().check(&explanation, out)
        }
    }
}

/// `--follow`, until the daemon ends or nobody reads any more.
fn follow(global: &Global, args: &ExplainArgs, out: &mut Out) -> Result<(), Stop> {
    let usage = |error: BadFlow| Stop::Usage(error.to_string());
    args.flow.query().map_err(usage)?;
    let flow = match args.flow.value() {
        Value::String(words) => words,
        object => object.to_string(),
    };
    let contains = args.contains.as_deref().unwrap_or_default();
    let path = format!(
        "{}?flow={}&contains={}&full={}",
        route::FOLLOW,
        route::encoded(&flow),
        route::encoded(contains),
        args.full
    );
    let unread =
        |error: serde_json::Error| Stop::Failed(format!("an event cannot be read: {error}"));
    control::events(global, &path, |name, data| {
        match name {
            route::EVENT_DECISION => {
                let explanation: Explanation = serde_json::from_str(data).map_err(unread)?;
                write(&explanation, args, out)?;
            }
            route::EVENT_MISSED => {
                let missed: Missed = serde_json::from_str(data).map_err(unread)?;
                out.answer(&missed, |out| {
                    out.line(format_args!("{} flows were missed", missed.missed))
                })?;
            }
            route::EVENT_UNTOLD => {
                let untold: Untold = serde_json::from_str(data).map_err(unread)?;
                if out.json() {
                    out.object(&json!({ "untold": untold }))?;
                } else {
                    out.say(wording::untold(&untold));
                }
            }
            // A newer daemon's.
            _ => {}
        }
        out.flush()
    })
    .map_err(control::said_wrongly)?;
    out.say(control::ENDED);
    Ok(())
}

/// Who explains.
struct Asker<'a> {
    global: &'a Global,
    args: &'a ExplainArgs,
    /// `None`: the daemon.
    setup: Option<Setup>,
}

impl Asker<'_> {
    fn expected(&self) -> Expected<'_> {
        Expected::new(
            self.global,
            self.args.expect.as_deref(),
            self.setup.as_ref(),
        )
    }

    /// Answers a file of flows line by line, in its order.
    fn lines(&self, path: &PathBuf, out: &mut Out) -> Result<(), Stop> {
        // Answers to a file of objects are objects, unless text is asked for.
        out.format.get_or_insert(Format::Json);
        let unread = |error: io::Error| Stop::Failed(format!("{}: {error}", path.display()));
        let source: Box<dyn io::Read> = if is_stdin(path) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(unread)?)
        };
        let mut reader = BufReader::with_capacity(64 << 10, source);
        let expected = self.expected();
        let mut failed = false;
        let mut line = Vec::new();
        for number in 1_usize.. {
            if reader.buffer().is_empty() {
                // Who writes flows one by one gets answers one by one.
                match out.flush() {
                    // What was expected is still to be told by the exit code.
                    Err(Stop::Unread) if self.args.expect.is_some() => {}
                    Err(Stop::Unread) => break,
                    flushed => flushed?,
                }
            }
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(unread)? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match self.line(&line)? {
                Ok(explanation) => {
                    write(&explanation, self.args, out)?;
                    match expected.check(&explanation, out) {
                        Err(Stop::No) => failed = true,
                        checked => checked?,
                    }
                }
                Err((id, error)) => {
                    failed = true;
                    let mut object = json!({ "error": error, "line": number });
                    if let (Some(id), Value::Object(fields)) = (id, &mut object) {
                        fields.insert("id".to_owned(), id);
                    }
                    out.answer(&object, |out| {
                        out.line(format_args!("line {number}: {error}"))
                    })?;
                }
            }
        }
        if failed { Err(Stop::No) } else { Ok(()) }
    }

    /// One line: an explanation, or why there is none, with the flow's `id` where it has one.
    fn line(&self, line: &[u8]) -> Result<Result<Explanation, (Option<Value>, String)>, Stop> {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text.trim(),
            Err(error) => return Ok(Err((None, format!("the line is no UTF-8: {error}")))),
        };
        let value: Option<Value> = serde_json::from_str(text).ok();
        let id = value.as_ref().and_then(|value| value.get("id")).cloned();
        let query = match Query::from_json_text(text) {
            Ok(query) => query,
            Err(error) => return Ok(Err((id, error.to_string()))),
        };
        match (&self.setup, value) {
            (Some(setup), _) => Ok(self
                .offline(setup, query)?
                .map_err(|error| (id, error.to_string()))),
            (None, value) => match self.online(value.unwrap_or_default(), false) {
                Ok(explanation) => Ok(Ok(explanation)),
                Err(Stop::Refused(refusal)) => Ok(Err((id, refusal.error))),
                Err(stop) => Err(stop),
            },
        }
    }

    fn offline(
        &self,
        setup: &Setup,
        mut query: Query,
    ) -> Result<Result<Explanation, BadFlow>, Stop> {
        let detail = if self.args.full {
            Detail::Full
        } else {
            Detail::Folded
        };
        let explain = |query: &Query| {
            let mut explained = explain(setup, query, &First, detail)?;
            hint_of_groups(&mut explained, setup);
            explained.hints.extend(copies_looked_for(setup, query));
            Ok(explained)
        };
        let first = explain(&query);
        let name = query.destination.as_ref().and_then(|host| host.name());
        let (true, None, Some(name)) = (self.args.resolve, &query.resolved, name) else {
            return Ok(first);
        };
        let path = route::filled(route::DNS, name.as_str());
        // Without a daemon there is nobody to ask, whether or not the policy would.
        let reply: DnsReply = control::get(self.global, &path)?;
        if let Some(error) = reply.error {
            return Err(Stop::Failed(match reply.outcome {
                DnsOutcome::NoName | DnsOutcome::NoAddress => error,
                _ => format!("{name} cannot be resolved: {error}"),
            }));
        }
        let addresses = reply.addresses.iter().map(|text| text.parse());
        let addresses = addresses.collect::<Result<_, _>>();
        query.resolved = Some(addresses.map_err(|error| {
            Stop::Failed(format!("the daemon's answer cannot be read: {error}"))
        })?);
        Ok(explain(&query))
    }

    /// `verify`: a list is read whole for it, so not for each of many flows.
    fn online(&self, flow: Value, verify: bool) -> Result<Explanation, Stop> {
        let request = ExplainRequest {
            flow,
            full: self.args.full,
            resolve: self.args.resolve,
            verify,
        };
        control::post(self.global, route::EXPLAIN, &request)
    }
}

/// Where the copies of lists were looked for that a flow's rules looked into and that are not there.
fn copies_looked_for(setup: &Setup, query: &Query) -> Vec<String> {
    if setup.sources.iter().all(|source| source.read.is_some()) {
        return Vec::new();
    }
    let decided = Decided::of(setup, query);
    let names = decided.map_or_else(|_| Vec::new(), |decided| decided.looked_into().unfetched);
    let state = load::state();
    let sources = setup.sources.iter();
    let missing = sources.filter(|source| names.contains(&source.name));
    missing
        .map(|source| searched(source.path.as_deref(), state.as_deref()))
        .collect()
}

/// Writes an explanation; not where `--quiet` leaves what `--expect` asks to the exit code.
fn write(explanation: &Explanation, args: &ExplainArgs, out: &mut Out) -> Result<(), Stop> {
    if out.quiet && args.expect.is_some() {
        return Ok(());
    }
    out.answer(explanation, |out| match &explanation.app_domain {
        Some(_) => text::app_domain(explanation, out),
        None => text::whole(explanation, out),
    })
}
