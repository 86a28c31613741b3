//! `policy`: the policies as text.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pointsman_api::{PolicyReply, route};
use pointsman_config::Setup;
use pointsman_config::list_print::as_list;
use pointsman_config::tree::print::as_tree;

use crate::cli::{Dialect, Global};
use crate::output::{Out, Stop};
use crate::{control, load};

/// Arguments of `policy`.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// The configuration; the daemon's where none is given
    path: Option<PathBuf>,
    /// Which form
    #[arg(long = "as", value_enum, default_value = "tree")]
    form: Form,
    /// The language it is written in
    #[arg(long, value_enum, default_value = "auto", requires = "path")]
    dialect: Dialect,
}

/// The forms of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A rule list, in BoltConn's language.
    List,
    /// A tree, in the native language.
    Tree,
}

pub(crate) fn run(global: &Global, args: &PolicyArgs, out: &mut Out) -> Result<(), Stop> {
    let reply = match &args.path {
        None => {
            let path = format!("{}?as={}", route::POLICY, args.form.as_str());
            control::get(global, &path)?
        }
        Some(path) => {
            let setup = load::setup(path, args.dialect)?;
            PolicyReply {
                form: args.form.as_str().to_owned(),
                text: policies(&setup, args.form),
            }
        }
    };
    out.answer(&reply, |out| out.line(reply.text.trim_end()))
}

/// All policies; where there are several, a comment names each.
fn policies(setup: &Setup, form: Form) -> String {
    let mut text = String::new();
    for policy in &setup.policies {
        if setup.policies.len() > 1 {
            text.push_str(&format!("# {}\n", policy.name));
        }
        text.push_str(&match form {
            Form::List => as_list(policy),
            Form::Tree => as_tree(policy),
        });
    }
    text
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Tree => "tree",
        }
    }
}
