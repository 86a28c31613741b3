//! `policy`: the policies as text.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pointsman_api::{PolicyReply, route};
use pointsman_config::Setup;
use pointsman_config::list_print::as_list;
use pointsman_config::picture::{as_dot, as_svg};
use pointsman_config::tree::print::as_tree;

use crate::cli::{Dialect, Global};
use crate::output::{Out, Stop, complain};
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
    /// A graph, for Graphviz.
    Dot,
    /// A rule list, in BoltConn's language.
    List,
    /// A picture.
    Svg,
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
                text: policies(&setup, args.form)?,
            }
        }
    };
    out.answer(&reply, |out| out.line(reply.text.trim_end()))
}

/// All policies; where there are several, a comment names each. A policy that the form cannot say is
/// an error that says what.
fn policies(setup: &Setup, form: Form) -> Result<String, Stop> {
    let all = || setup.policies.iter().map(|policy| &**policy);
    match form {
        Form::Dot => return Ok(as_dot(all())),
        Form::Svg => return Ok(as_svg(all())),
        Form::List | Form::Tree => {}
    }
    let mut text = String::new();
    for policy in &setup.policies {
        if setup.policies.len() > 1 {
            text.push_str(&format!("# {}\n", policy.name));
        }
        match form {
            Form::List => match as_list(policy) {
                Ok(list) => text.push_str(&list),
                Err(unsaid) => {
                    for reason in &unsaid {
                        complain(reason);
                    }
                    let why = format!("`{}` cannot be written as a list", policy.name);
                    return Err(Stop::Failed(why));
                }
            },
            _ => text.push_str(&as_tree(policy)),
        }
    }
    Ok(text)
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::List => "list",
            Self::Svg => "svg",
            Self::Tree => "tree",
        }
    }
}
