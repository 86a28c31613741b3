//! `explain --dns`: who is asked for a name.

use pointsman_api::{NameExplanation, NameWay, route};
use pointsman_config::explain::{Detail, name as explain_name};
use pointsman_config::flow::{BadFlow, NameQuery, answer_of, kind_of};
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
    let bad = |error: BadFlow| Stop::Usage(error.to_string());
    let answer = args.answer.as_deref().map(answer_of).transpose();
    let query = NameQuery {
        kind: kind_of(&args.kind).map_err(bad)?,
        client: args.client,
        answer: answer.map_err(bad)?,
        ..NameQuery::of(domain)
    };
    let explained: NameExplanation = match &args.config {
        Some(path) => {
            let setup = load::setup(path, args.dialect)?;
            let detail = match args.full {
                true => Detail::Full,
                false => Detail::Folded,
            };
            explain_name(&setup, &query, detail).map_err(|why| Stop::Failed(why.to_owned()))?
        }
        None => {
            let path = route::filled(route::DNS_EXPLAIN, query.name.as_str());
            let mut path = format!("{path}?type={}&full={}", query.kind, args.full);
            if let Some(client) = args.client {
                path.push_str(&format!("&client={client}"));
            }
            if let Some(answer) = &args.answer {
                path.push_str(&format!("&answer={}", answer.replace(' ', "")));
            }
            control::get(global, &path)?
        }
    };
    out.answer(&explained, |out| text(&explained, out))
}

fn text(explained: &NameExplanation, out: &mut Out) -> Result<(), Stop> {
    let asked = match explained.kind.as_str() {
        "A" => explained.name.clone(),
        kind => format!("{} {kind}", explained.name),
    };
    let what = match &explained.upstream {
        Some(upstream) => format!("{asked} => {upstream} ({})", explained.servers.join(", ")),
        None => format!("{asked} => {}", explained.end),
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
        if let Some(entry) = &rule.entry {
            out.line(format_args!(
                "  entry {}:{}: {}",
                plain(&entry.file),
                entry.line,
                plain(&entry.text)
            ))?;
        }
    }
    if let [_, .., _] = explained.asked.as_slice() {
        out.line(format_args!(
            "  asked: {}",
            plain(&explained.asked.join(", "))
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
