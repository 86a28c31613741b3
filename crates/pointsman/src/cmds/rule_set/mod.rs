//! `rule-set`: lists asked, written in another format, looked into.

mod ask;
mod convert;

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use pointsman_config::files::{Files as _, PIPES_WITHIN};
use pointsman_config::list::{
    self, Behavior, Bytes, Format, MOST_OF_A_FILE, ReadReport, Recipe, Surroundings, Unreadable,
};
use pointsman_config::problem::Problems;
use pointsman_policy::set::Sink;
use serde_json::json;

use crate::files::ThisHost;
use crate::output::{Out, Stop, complain};

/// The verbs of `rule-set`.
#[derive(Debug, Subcommand)]
pub(crate) enum RuleSetVerb {
    /// Which entry matches a host, by file and line; exit code 1: none, 2: the list cannot be read
    Match(ask::MatchArgs),
    /// Convert a list to another format
    Convert(convert::ConvertArgs),
    /// Name the lists inside a file that holds many (`geosite.dat`, `geoip.dat`)
    List(ListArgs),
}

/// Arguments of `rule-set list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// The file, or `-` for stdin
    file: PathBuf,
}

/// How a list is to be read.
#[derive(Args, Clone, Debug)]
struct Reading {
    /// The list inside a file that holds many: `google` or `google@cn` of geosite.dat, `cn` or `as13335` of
    /// a database
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// How the list is written [default: by its content]
    #[arg(long, value_enum, value_name = "FORMAT")]
    list_format: Option<ListFormat>,
    /// What its entries are [default: by their look]
    #[arg(long, value_enum, value_name = "WHAT")]
    behavior: Option<ListBehavior>,
}

/// The formats of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// Rules of AdBlock and AdGuard
    Adblock,
    /// v2ray's geosite.dat and geoip.dat
    Dat,
    /// dnsmasq's options
    Dnsmasq,
    /// A hosts file
    Hosts,
    /// A MaxMind database
    Mmdb,
    /// mihomo's binary rule set
    Mrs,
    /// sing-box's binary rule set
    Srs,
    /// sing-box's rule set as JSON
    SrsJson,
    /// One entry a line
    Text,
    /// YAML with the list `payload`
    Yaml,
}

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListBehavior {
    /// Clash's rules: as `classical`, programs in any case
    Clash,
    /// Rules without outbounds
    Classical,
    /// Names: plain ones exact, `+.x` with all below
    Domain,
    /// Address ranges
    Ipcidr,
    /// Names, each with all below
    Names,
}

pub(crate) fn run(verb: &RuleSetVerb, out: &mut Out) -> Result<(), Stop> {
    match verb {
        RuleSetVerb::Match(args) => ask::run(args, out),
        RuleSetVerb::Convert(args) => convert::run(args, out),
        RuleSetVerb::List(args) => lists(args, out),
    }
}

fn lists(args: &ListArgs, out: &mut Out) -> Result<(), Stop> {
    let shown = args.file.display().to_string();
    let names = list::lists_within(&mut *open(&args.file)?).map_err(|error| {
        told(&error, &shown);
        Stop::Failed(format!("{shown} is no file of many lists"))
    })?;
    let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    out.answer(&json!({ "file": shown, "lists": names }), |out| {
        names.iter().try_for_each(|name| out.line(name))
    })
}

/// Reads a list into a sink, and tells on stderr what it had to say besides.
fn read(
    file: &Path,
    how: &Reading,
    sink: &mut dyn Sink,
    out: &mut Out,
) -> Result<ReadReport, Stop> {
    let recipe = Recipe {
        wide_marks: false,
        format: how.list_format.map(ListFormat::chosen),
        behavior: how.behavior.map(ListBehavior::chosen),
        strict: false,
        select: how.set.clone(),
        limit: None,
    };
    let scope = Surroundings::with_databases();
    let shown = file.display().to_string();
    let mut notes = ReadReport::default();
    let mut bytes = open(file)?;
    list::read(&mut *bytes, &shown, &recipe, &scope, sink, &mut notes).map_err(|error| {
        told(&error, &shown);
        Stop::Failed(format!("{shown} cannot be read as a list"))
    })?;
    let mut problems = Problems::default();
    notes.report(&shown, false, &mut problems);
    problems.told().iter().for_each(|problem| out.say(problem));
    Ok(notes)
}

fn open(file: &Path) -> Result<Box<dyn Bytes>, Stop> {
    let opened: io::Result<Box<dyn Bytes>> = match file.is_file() {
        true => ThisHost
            .open(file, MOST_OF_A_FILE)
            .map(|opened| opened.bytes),
        // A list is read several times.
        false => ThisHost
            .read_handed(file, MOST_OF_A_FILE, PIPES_WITHIN)
            .map(|bytes| Box::new(io::Cursor::new(bytes)) as _),
    };
    opened.map_err(|error| Stop::Failed(format!("{} cannot be read: {error}", file.display())))
}

fn told(error: &Unreadable, file: &str) {
    complain(error.of_file(file));
}

impl ListFormat {
    fn chosen(self) -> Format {
        match self {
            Self::Adblock => Format::Adblock,
            Self::Dat => Format::Dat,
            Self::Dnsmasq => Format::Dnsmasq,
            Self::Hosts => Format::Hosts,
            Self::Mmdb => Format::Mmdb,
            Self::Mrs => Format::Mrs,
            Self::Srs => Format::Srs,
            Self::SrsJson => Format::SrsJson,
            Self::Text => Format::Text,
            Self::Yaml => Format::Yaml,
        }
    }
}

impl ListBehavior {
    fn chosen(self) -> Behavior {
        match self {
            Self::Clash => Behavior::Clash,
            Self::Classical => Behavior::Classical,
            Self::Domain => Behavior::Domain,
            Self::Ipcidr => Behavior::IpCidr,
            Self::Names => Behavior::Names,
        }
    }
}
