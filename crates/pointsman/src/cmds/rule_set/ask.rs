//! `rule-set match`: which entry of a list holds a host.
//!
//! Invariant: the exit code is 1 only where the whole list was asked and holds nothing; a list that cannot be read is 2.

use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use pointsman_config::list::query::{Answer, ListIndex, Query, Standing, ask};
use pointsman_config::list::{ListFile, searched, shown};
use pointsman_config::problem::nearest;
use pointsman_policy::Host;
use pointsman_policy::set::{RuleSet, Sink};
use serde_json::{Value, json};

use super::{Reading, read};
use crate::files::{ThisHost, is_stdin};
use crate::load;
use crate::options::{Dialect, Format};
use crate::output::{Out, Stop, complain};

/// The most bytes of a line with a host.
const MAX_LINE: usize = 4096;

/// Arguments of `rule-set match`.
#[derive(Args, Debug)]
pub(crate) struct MatchArgs {
    /// The list: a file, or `-` for stdin; with `--config` the name of a rule set
    #[arg(value_name = "NAME-OR-FILE")]
    list: PathBuf,
    /// A name or an address; `-` reads one a line and answers one object a line
    #[arg(value_name = "HOST-OR-ADDRESS")]
    host: String,
    /// The configuration that has the rule set (`-`: stdin)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["set", "list_format", "behavior"])]
    config: Option<PathBuf>,
    /// The language of the configuration
    #[arg(long, value_enum, default_value = "auto", requires = "config")]
    dialect: Dialect,
    #[command(flatten)]
    reading: Reading,
}

pub(crate) fn run(args: &MatchArgs, out: &mut Out) -> Result<(), Stop> {
    answer(args, out).map_err(|stop| match stop {
        // 1 says that no entry holds the host, which nobody can tell here.
        Stop::Failed(why) => Stop::Usage(why),
        Stop::Invalid(refusal, _) => Stop::Invalid(refusal, 2),
        other => other,
    })
}

fn answer(args: &MatchArgs, out: &mut Out) -> Result<(), Stop> {
    if args.host == "-" {
        if is_stdin(args.config.as_deref().unwrap_or(&args.list)) {
            let what = "the hosts and what they are looked for in cannot both come by stdin";
            return Err(Stop::Usage(what.to_owned()));
        }
        let mut index = ListIndex::default();
        let asked = match &args.config {
            Some(config) => {
                let (set, list) = find(config, args)?;
                match list {
                    Some(list) => {
                        each(&list, &mut index)?;
                        Askable::Index(set.file.to_string(), Box::new(index))
                    }
                    None => Askable::Set(set),
                }
            }
            None => {
                read(&args.list, &args.reading, &mut index, out)?;
                Askable::Index(args.list.display().to_string(), Box::new(index))
            }
        };
        return lines(&asked, out);
    }
    let host = parse(&args.host).map_err(Stop::Usage)?;
    let (file, answer) = match &args.config {
        Some(config) => {
            let (set, list) = find(config, args)?;
            let loaded = ask(&set, &host);
            let answer = match list {
                Some(list) => {
                    let mut query = Query::new(host);
                    each(&list, &mut query)?;
                    query.answer()
                }
                None => loaded.clone(),
            };
            if answer.entry != loaded.entry {
                let file = &set.file;
                out.say(format_args!(
                    "{file} does not say what was loaded of it: it changed since"
                ));
            }
            (set.file.to_string(), answer)
        }
        None => {
            let mut query = Query::new(host);
            read(&args.list, &args.reading, &mut query, out)?;
            (args.list.display().to_string(), query.answer())
        }
    };
    out.answer(&object(&args.host, &file, &answer), |out| {
        match &answer.entry {
            Some(entry) => out.line(placed(&file, entry)),
            None => Ok(()),
        }
    })?;
    if answer.entry.is_some() {
        return Ok(());
    }
    match &answer.exception {
        Some(exception) => out.say(format_args!(
            "an exception takes it out: {}",
            placed(&file, exception)
        )),
        None => out.say(format_args!("no entry of {file} holds {}", args.host)),
    }
    if answer.open > 0 {
        out.say(format_args!(
            "{} of its entries ask for more than the host",
            answer.open
        ));
    }
    Err(Stop::No)
}

/// What is asked for many hosts.
enum Askable {
    Set(Arc<RuleSet>),
    /// With the file's name.
    Index(String, Box<ListIndex>),
}

impl Askable {
    fn file(&self) -> &str {
        match self {
            Self::Set(set) => &set.file,
            Self::Index(file, _) => file,
        }
    }

    fn answer(&self, host: &Host) -> Answer {
        match self {
            Self::Set(set) => ask(set, host),
            Self::Index(_, index) => index.answer(host),
        }
    }
}

/// One host a line; the exit code says whether any is held.
fn lines(asked: &Askable, out: &mut Out) -> Result<(), Stop> {
    let file = asked.file();
    let mut any = false;
    for line in io::stdin().lock().split(b'\n') {
        let line = line.map_err(|error| Stop::Failed(format!("stdin cannot be read: {error}")))?;
        let line = String::from_utf8_lossy(&line);
        let query = line.trim();
        if query.is_empty() {
            continue;
        }
        let (answer, bad) = match parse(query) {
            Ok(host) => (asked.answer(&host), None),
            Err(why) => (Answer::default(), Some(why)),
        };
        any |= answer.entry.is_some();
        if out.format == Some(Format::Text) {
            if let Some(why) = &bad {
                complain(why);
            }
            match &answer.entry {
                Some(entry) => out.line(format_args!("{query}: {}", placed(file, entry)))?,
                None => out.line(format_args!("{query}: -"))?,
            }
        } else {
            let mut object = object(query, file, &answer);
            if let Some(why) = bad {
                object["error"] = why.into();
            }
            out.object(&object)?;
        }
        // Whoever asks line by line waits for each answer.
        out.flush()?;
    }
    if any { Ok(()) } else { Err(Stop::No) }
}

fn parse(host: &str) -> Result<Host, String> {
    let shown = host.get(..host.floor_char_boundary(64)).unwrap_or(host);
    if host.len() > MAX_LINE {
        return Err(format!("`{shown}...` is too long"));
    }
    Host::parse(host).map_err(|why| format!("`{shown}` is neither a name nor an address: {why}"))
}

/// Goes through the entries of a list as they stand in its file now.
fn each(list: &ListFile, sink: &mut dyn Sink) -> Result<(), Stop> {
    let read = list.each(&ThisHost, sink);
    read.map_err(|error| Stop::Failed(format!("{}: {error}", list.shown().unwrap_or(&list.name))))
}

/// The rule set of this name in a configuration, and where its entries stand.
fn find(config: &Path, args: &MatchArgs) -> Result<(Arc<RuleSet>, Option<ListFile>), Stop> {
    let setup = load::setup(config, args.dialect)?;
    let wanted = args.list.to_string_lossy();
    let sets = || setup.policies.iter().flat_map(|policy| policy.sets.iter());
    let fetched = setup.sources.iter().find(|source| *source.name == wanted);
    let copy = fetched.and_then(|source| source.path.as_deref());
    if fetched.is_some() && !copy.is_some_and(Path::exists) {
        let searched = searched(copy, load::state().as_deref());
        return Err(Stop::Usage(format!(
            "`{wanted}` was not fetched yet; {searched}"
        )));
    }
    if let Some(set) = sets().find(|set| *set.name == wanted) {
        let mut lists = setup.lists.iter();
        let list = lists.find(|list| *list.name == wanted && list.shown() == Some(&set.file));
        return Ok((Arc::clone(set), list.cloned()));
    }
    let near = nearest(&wanted, sets().map(|set| &*set.name));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(Stop::Usage(format!(
        "{} has no rule set `{wanted}`{hint}",
        config.display()
    )))
}

fn object(query: &str, file: &str, answer: &Answer) -> Value {
    let place = |standing: &Standing| json!({ "text": shown(&standing.text), "file": file, "line": standing.line });
    let mut object = json!({
        "query": query,
        "match": answer.entry.is_some(),
        "entry": answer.entry.as_ref().map(place),
    });
    if let Some(exception) = &answer.exception {
        object["exception"] = place(exception);
    }
    object
}

/// `file:line: text`; a set that was loaded has forgotten where its exceptions stand.
fn placed(file: &str, standing: &Standing) -> String {
    match standing.line {
        0 => file.to_owned(),
        line => format!("{file}:{line}: {}", shown(&standing.text)),
    }
}
