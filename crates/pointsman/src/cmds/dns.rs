//! `dns`: what the daemon's DNS server knows.

mod query;

use std::net::IpAddr;

use clap::{Args, Subcommand};
use pointsman_api::{FakeName, KnownNames, route};
use pointsman_policy::shown::plain;

use self::query::QueryArgs;
use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

/// Arguments of `dns`.
#[derive(Args, Debug)]
pub(crate) struct DnsArgs {
    #[command(subcommand)]
    what: What,
}

/// What is asked of the DNS server.
#[derive(Debug, Subcommand)]
enum What {
    /// The fake addresses of a name, or the name of one
    Fake {
        /// A name, or a fake address
        #[arg(value_name = "NAME|ADDRESS")]
        of: String,
    },
    /// The names that clients were told for an address
    Names {
        /// The address
        address: IpAddr,
        /// The client; without it, all
        #[arg(long, value_name = "ADDRESS")]
        client: Option<IpAddr>,
    },
    /// Ask for a name as a client would, with the path taken
    ///
    /// The exit code is 0 where there is an answer, 1 where there is none (no such name, no such record, blocked), 4 where nobody could tell.
    Query(QueryArgs),
}

pub(crate) fn run(global: &Global, args: &DnsArgs, out: &mut Out) -> Result<(), Stop> {
    match &args.what {
        What::Fake { of } => fake(global, of, out),
        What::Names { address, client } => names(global, *address, *client, out),
        What::Query(args) => query::run(global, args, out),
    }
}

fn names(
    global: &Global,
    address: IpAddr,
    client: Option<IpAddr>,
    out: &mut Out,
) -> Result<(), Stop> {
    let client = client.map(|client| format!("&client={client}"));
    let path = format!(
        "{}?address={address}{}",
        route::DNS_NAMES,
        client.unwrap_or_default()
    );
    let known: KnownNames = control::get(global, &path)?;
    out.answer(&known, |out| {
        known.names.iter().try_for_each(|it| {
            let client = it.client.as_deref().unwrap_or("this host");
            let ambiguous = if it.ambiguous { ", ambiguous" } else { "" };
            out.line(format_args!(
                "{} told to {}, for {} s more{ambiguous}",
                plain(&it.name),
                plain(client),
                it.left_s
            ))
        })
    })?;
    match known.names.is_empty() {
        true => Err(Stop::Failed(format!(
            "no client was told {address} for a name that still counts"
        ))),
        false => Ok(()),
    }
}

fn fake(global: &Global, of: &str, out: &mut Out) -> Result<(), Stop> {
    let known: FakeName = control::get(global, &route::filled(route::DNS_FAKE, of))?;
    out.answer(&known, |out| {
        let addresses = [&known.v4, &known.v6].into_iter().flatten();
        let addresses: Vec<&str> = addresses.map(String::as_str).collect();
        out.line(format_args!(
            "{} {}",
            plain(&known.name),
            plain(&addresses.join(" "))
        ))
    })
}
