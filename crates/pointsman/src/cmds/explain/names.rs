//! `explain --dns`: who is asked for a name.

use pointsman_api::{NameExplanation, NameWay, route};
use pointsman_config::explain::name as explain_name;
use pointsman_policy::Domain;
use pointsman_policy::shown::plain;

use super::ExplainArgs;
use crate::options::Global;
use crate::output::{Out, Stop};
use crate::{control, load};

pub(super) fn run(
    global: &Global,
    args: &ExplainArgs,
    name: &str,
    out: &mut Out,
) -> Result<(), Stop> {
    let domain = Domain::parse(name)
        .map_err(|error| Stop::Usage(format!("`{name}` is no name: {error}")))?;
    let explained: NameExplanation = match &args.config {
        Some(path) => {
            let setup = load::setup(path, args.dialect)?;
            explain_name(&setup, &domain, args.client)
                .map_err(|why| Stop::Failed(why.to_owned()))?
        }
        None => {
            let path = route::filled(route::DNS_EXPLAIN, domain.as_str());
            let client = args.client.map(|client| format!("?client={client}"));
            control::get(global, &format!("{path}{}", client.unwrap_or_default()))?
        }
    };
    out.answer(&explained, |out| text(&explained, out))
}

fn text(explained: &NameExplanation, out: &mut Out) -> Result<(), Stop> {
    let what = match &explained.upstream {
        Some(upstream) => format!(
            "{} => {upstream} ({})",
            explained.name,
            explained.servers.join(", ")
        ),
        None => format!("{} => {}", explained.name, explained.end),
    };
    out.line(plain(&what))?;
    out.line(format_args!("  {}", plain(&explained.reason)))?;
    if let Some(rule) = &explained.rule {
        out.line(format_args!(
            "  {}:{}: {}",
            plain(&rule.file),
            rule.line,
            plain(&rule.text)
        ))?;
    }
    for NameWay {
        outbound,
        upstream,
        rule,
    } in &explained.ways
    {
        let outbound = outbound.as_deref().unwrap_or("no outbound");
        let asks = match upstream {
            Some(upstream) => format!("asks {upstream}"),
            None => "asks nobody".to_owned(),
        };
        let rule = rule.as_ref();
        let rule = rule.map_or_else(String::new, |it| {
            format!(" ({}:{}: {})", it.file, it.line, it.text)
        });
        out.line(format_args!(
            "  flows by {}: {asks}{}",
            plain(outbound),
            plain(&rule)
        ))?;
    }
    Ok(())
}
