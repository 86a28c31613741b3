//! `approve`: flows that wait for an answer are shown, and answered.
//!
//! Invariant: a line that is no answer answers nothing. Flows are asked only while this runs.

use std::collections::VecDeque;
use std::io::BufRead as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use clap::{Args, ValueEnum};
use pointsman_api::request::{Answered, Over, Request, Subscribed, Verdict};
use pointsman_api::route;
use pointsman_policy::shown::plain;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop, complain};

/// Arguments of `approve`.
#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    /// The numbers that rules ask: `200,201`; each has one subscriber
    #[arg(
        long,
        value_name = "ID",
        value_delimiter = ',',
        required_unless_present = "answer"
    )]
    id: Vec<u32>,
    /// Answer every request with this, and read nothing
    #[arg(long, value_enum, value_name = "ROUTE", conflicts_with = "answer")]
    always: Option<Word>,
    /// Answer one request of another `approve`, and end
    #[arg(long, num_args = 2, value_names = ["REQUEST", "ROUTE"], requires = "sub_id", conflicts_with = "id")]
    answer: Option<Vec<String>>,
    /// The subscriber that `--answer` answers for: the request's `sub_id`
    #[arg(long, value_name = "N", requires = "answer")]
    sub_id: Option<u64>,
}

/// What can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Word {
    /// Go on with the rules below
    Continue,
    /// Refuse it
    Reject,
    /// Say nothing to it
    Blackhole,
    /// The rule's fallback
    Fallback,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Reject => "REJECT",
            Self::Blackhole => "BLACKHOLE",
            Self::Fallback => "FALLBACK",
        }
    }

    /// A word or its beginning, in any case.
    fn of(text: &str) -> Option<Self> {
        let text = text.to_ascii_uppercase();
        let mut all = Self::value_variants().iter().copied();
        all.find(|word| !text.is_empty() && word.as_str().starts_with(&text))
    }
}

pub(crate) fn run(global: &Global, args: &ApproveArgs, out: &mut Out) -> Result<(), Stop> {
    if let (Some(said), Some(sub_id)) = (&args.answer, args.sub_id) {
        let [request, route] = said.as_slice() else {
            return Err(Stop::Usage("`--answer` takes a request and a route".into()));
        };
        let request = request.parse().map_err(|_not_a_number| {
            Stop::Usage(format!("`{request}` is no number of a request"))
        })?;
        let answered = answer(global, sub_id, request, route)?;
        return out.answer(&answered, |out| {
            out.line(format_args!("request {request}: {}", answered.route))
        });
    }
    let waiting = Arc::new(Waiting::default());
    let (heard, own) = (Arc::clone(&waiting), global.clone());
    let quiet = out.quiet;
    // Threads of their own, for each answer is a request of its own; they end with the program.
    let always = args.always.map(|word| {
        let (sender, asked) = mpsc::channel();
        #[allow(clippy::disallowed_methods, reason = "it ends with the program")]
        std::thread::spawn(move || {
            for (request, sub_id) in asked {
                tell(&own, quiet, sub_id, request, word);
            }
        });
        sender
    });
    if always.is_none() {
        let own = global.clone();
        let keys = !(quiet || out.json());
        #[allow(clippy::disallowed_methods, reason = "it ends with the program")]
        std::thread::spawn(move || hear(&own, &heard, keys));
    }
    let ids: Vec<String> = args.id.iter().map(ToString::to_string).collect();
    let path = format!("{}?id={}", route::REQUESTS, ids.join(","));
    control::events(global, &path, |name, data| {
        let unread =
            |error: serde_json::Error| Stop::Failed(format!("an event cannot be read: {error}"));
        if out.json() {
            let data: serde_json::Value = serde_json::from_str(data).map_err(unread)?;
            out.object(&serde_json::json!({ "event": name, "data": data }))?;
        }
        match name {
            route::EVENT_SUBSCRIBED if !out.json() => {
                let Subscribed { ids, .. } = serde_json::from_str(data).map_err(unread)?;
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                out.say(format_args!("asked for {}", ids.join(", ")));
                match args.always {
                    Some(word) => out.say(format_args!("each is answered {}", word.as_str())),
                    None => out.say(KEYS),
                }
            }
            route::EVENT_REQUEST => {
                let request: Request = serde_json::from_str(data).map_err(unread)?;
                if !out.json() {
                    out.line(plain(&described(&request)))?;
                }
                let asked = (request.request_id, request.sub_id);
                match &always {
                    // Who reads there lives as long as this.
                    Some(always) => drop(always.send(asked)),
                    None => waiting.list().push_back(asked),
                }
            }
            route::EVENT_OVER => {
                let Over { request_id } = serde_json::from_str(data).map_err(unread)?;
                waiting.list().retain(|(waits, _)| *waits != request_id);
                if !out.json() {
                    out.line(format_args!("{request_id} waits no longer"))?;
                }
            }
            // A newer daemon's.
            _ => {}
        }
        out.flush()
    })?;
    out.say(control::ENDED);
    Ok(())
}

/// Requests that were shown and not answered, oldest first, each with whom it is asked.
#[derive(Debug, Default)]
struct Waiting(Mutex<VecDeque<(u64, u64)>>);

impl Waiting {
    fn list(&self) -> MutexGuard<'_, VecDeque<(u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a line answers: `c`, or `17 reject`; without a number the oldest is meant.
    fn take(&self, line: &str) -> Result<(u64, u64, Word), String> {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let mut list = self.list();
        let (at, word) = match first.parse::<u64>() {
            Ok(number) => {
                let at = list.iter().position(|(waits, _)| *waits == number);
                let at = at.ok_or_else(|| format!("request {number} does not wait"))?;
                (at, words.next().unwrap_or_default())
            }
            Err(_no_number) => (0, first),
        };
        let route = Word::of(word).filter(|_| words.next().is_none());
        let route =
            route.ok_or_else(|| format!("`{}` is no answer; {KEYS}", plain(line.trim())))?;
        let (request, sub_id) = list.remove(at).ok_or("no request waits")?;
        Ok((request, sub_id, route))
    }
}

/// What a line of input may say.
const KEYS: &str = "type a line: c (continue), r (reject), b (blackhole) or f (fallback) for the oldest request, \
                    `17 c` for request 17";

/// Reads answers, a line each; `said`: whether people read along.
fn hear(global: &Global, waiting: &Waiting, said: bool) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line.trim().is_empty() {
            continue;
        }
        match waiting.take(&line) {
            Err(why) => complain(why),
            Ok((request, sub_id, word)) => tell(global, !said, sub_id, request, word),
        }
    }
    if said {
        complain("no more input: requests that are not answered get their fallback");
    }
}

/// Answers, and says what was answered; where nobody waits any more that is said instead.
fn tell(global: &Global, quiet: bool, sub_id: u64, request: u64, word: Word) {
    match answer(global, sub_id, request, word.as_str()) {
        Ok(_) if quiet => {}
        Ok(answered) => complain(format_args!("request {request}: {}", answered.route)),
        Err(Stop::Refused(refusal)) => complain(refusal.error),
        Err(_gone) => complain(format_args!("request {request} could not be answered")),
    }
}

fn answer(global: &Global, sub_id: u64, request: u64, route: &str) -> Result<Answered, Stop> {
    let path = route::filled(route::REQUEST, &request.to_string());
    let route = route.to_owned();
    control::post(global, &path, &Verdict { sub_id, route })
}

/// `17: firefox (/usr/bin/firefox, 4711) of 127.0.0.1:5000 wants tcp example.com:443; CONTINUE is suggested, REJECT in 30 s`.
fn described(request: &Request) -> String {
    let who = match &request.process {
        Some(process) => {
            let name = process.name.as_deref().unwrap_or("an unknown program");
            let pid = process.pid.map(|pid| format!(" ({pid})"));
            format!("{name}{}", pid.unwrap_or_default())
        }
        None => "an unknown program".to_owned(),
    };
    let from = request.source.as_deref().unwrap_or("?");
    let host = request.destination.host.as_deref();
    let host = host.or(request.domain.as_deref()).unwrap_or("?");
    let port = request.destination.port;
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}: {who} at {from} asks {} for {} {host}{port}; {} is suggested, {} in {} s",
        request.request_id,
        request.id,
        request.network,
        request.suggested_route,
        request.fallback,
        request.timeout_s
    )
}
