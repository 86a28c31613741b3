//! The flags that describe a flow: one for each key of FLOW, and words as they stand in case files.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use pointsman_config::flow::{BadFlow, KEYS, Query, key_and_value};

/// What was said of one flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlowArgs {
    /// In the order of [`KEYS`], words last.
    pairs: Vec<(String, String)>,
    /// A JSON object.
    object: Option<String>,
}

impl FlowArgs {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.object.is_none()
    }

    /// The flow.
    pub(crate) fn query(&self) -> Result<Query, BadFlow> {
        match &self.object {
            Some(object) if self.pairs.is_empty() => Query::from_json_text(object),
            Some(_) => Err(BadFlow::Both),
            None => Query::from_pairs(self.pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))),
        }
    }

    /// The same for the daemon: an object, or words.
    pub(crate) fn value(&self) -> serde_json::Value {
        let object = self.object.as_deref().map(serde_json::from_str);
        if let Some(Ok(value)) = object {
            return value;
        }
        let words = self.pairs.iter().map(|(key, value)| {
            format!(
                "{key}=\"{}\"",
                value.replace('\\', "\\\\").replace('"', "\\\"")
            )
        });
        serde_json::Value::String(words.collect::<Vec<_>>().join(" "))
    }
}

impl Args for FlowArgs {
    fn augment_args(command: Command) -> Command {
        let flags = KEYS.iter().map(|(key, help)| {
            let action = if *key == "parent" {
                ArgAction::Append
            } else {
                ArgAction::Set
            };
            Arg::new(*key)
                .long(*key)
                .help(*help)
                .value_name("VALUE")
                .action(action)
                .help_heading("Flow")
        });
        let words = Arg::new(WORDS)
            .value_name("FLOW")
            .help(
                "The flow: a destination (example.com:443, https://example.com/x), words \
                 (process=curl network=udp), or a JSON object",
            )
            .num_args(0..);
        command.args(flags).arg(words)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FlowArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        for (key, _) in KEYS {
            let values = matches.get_many::<String>(key).into_iter().flatten();
            args.pairs
                .extend(values.map(|value| (key.to_owned(), value.clone())));
        }
        for word in matches.get_many::<String>(WORDS).into_iter().flatten() {
            if word.trim_start().starts_with('{') && args.object.is_none() {
                args.object = Some(word.clone());
                continue;
            }
            match key_and_value(word) {
                Ok((key, value)) => args.pairs.push((key.to_owned(), value.to_owned())),
                Err(error) => {
                    let kind = clap::error::ErrorKind::ValueValidation;
                    return Err(clap::Error::raw(kind, format!("error: {error}\n")));
                }
            }
        }
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

const WORDS: &str = "words";
