//! `dns query`: asks the daemon's DNS server.

use std::net::IpAddr;

use clap::Args;
use pointsman_api::{Error as Refusal, NameExplanation, route};
use pointsman_config::flow::kind_of;
use pointsman_policy::shown::plain;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

/// Arguments of `dns query`.
#[derive(Args, Debug)]
pub(crate) struct QueryArgs {
    /// The name
    name: String,
    /// The type that is asked for: A, AAAA, HTTPS, 65
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    kind: String,
    /// The client who asks; the default is nobody in particular
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
}

pub(super) fn run(global: &Global, args: &QueryArgs, out: &mut Out) -> Result<(), Stop> {
    let kind = kind_of(&args.kind).map_err(|error| Stop::Usage(error.to_string()))?;
    let name = route::encoded(&args.name);
    let mut path = format!("{}?name={name}&type={kind}", route::DNS_QUERY);
    if let Some(client) = args.client {
        path.push_str(&format!("&client={}", route::encoded(&client.to_string())));
    }
    let told: NameExplanation = control::get(global, &path)?;
    out.answer(&told, |out| text(&told, out))?;
    match told.rcode.as_deref() {
        Some("NOERROR")
            if !told.answers.is_empty()
                && told.ede.as_ref().is_none_or(|it| it.code != BLOCKED) =>
        {
            Ok(())
        }
        Some("NOERROR" | "NXDOMAIN" | "REFUSED") | None => Err(Stop::No),
        Some(code) => {
            let why = told
                .ede
                .as_ref()
                .map(|error| format!(": {}", plain(&error.text)));
            let text = format!("{code}{}", why.unwrap_or_default());
            Err(Stop::Refused(Refusal::new("no-answer", text)))
        }
    }
}

/// What a rule answers by itself (RFC 8914 §4.16).
const BLOCKED: u16 = 15;

fn text(told: &NameExplanation, out: &mut Out) -> Result<(), Stop> {
    for answer in &told.answers {
        out.line(plain(answer))?;
    }
    if out.quiet {
        return Ok(());
    }
    let code = told.rcode.as_deref().unwrap_or("no reply");
    let from = told.from.as_deref().unwrap_or("nobody");
    let whom = match &told.upstream {
        Some(upstream) => format!("{from}, {upstream}"),
        None => from.to_owned(),
    };
    let via = told.via.as_ref().map(|via| format!(" by {via}"));
    let ms = told.ms.map(|ms| format!(", {ms:.1} ms"));
    let (via, ms) = (via.unwrap_or_default(), ms.unwrap_or_default());
    out.line(plain(&format!("{code} ({whom}{via}{ms})")))?;
    out.line(format_args!("  {}", plain(&told.reason)))?;
    if let Some(rule) = &told.rule {
        let place = format!("{}:{}: {}", rule.file, rule.line, rule.text);
        out.line(format_args!("  {}", plain(&place)))?;
    }
    if let Some(error) = &told.ede {
        out.line(format_args!("  EDE {}: {}", error.code, plain(&error.text)))?;
    }
    Ok(())
}
