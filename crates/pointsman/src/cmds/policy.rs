//! `policy`: the policies as text or as a picture.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pointsman_api::{PolicyReply, route};
use pointsman_config::Setup;
use pointsman_config::list_print::as_list;
use pointsman_config::picture::{Runs, as_dot, as_svg, need_headings, scenes};
use pointsman_config::tree::print::as_tree;

use crate::options::{Dialect, Global};
use crate::output::{Out, Stop, complain};
use crate::{control, load};

/// Arguments of `policy`.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// The configuration (`-`: stdin); the default is the running daemon's
    path: Option<PathBuf>,
    /// The form of the output
    #[arg(long = "as", value_enum, default_value = "tree")]
    form: Form,
    /// In pictures: show each rule; otherwise similar rules are folded into one row
    #[arg(long)]
    open: bool,
    /// The language of the configuration
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
    let pictured = matches!(args.form, Form::Dot | Form::Svg);
    if args.open && !pictured {
        let text = "--open is for pictures: give --as svg or --as dot";
        return Err(Stop::Usage(text.to_owned()));
    }
    let reply = match &args.path {
        None => {
            let open = if args.open { "&open=true" } else { "" };
            let path = format!("{}?as={}{open}", route::POLICY, args.form.as_str());
            control::get(global, &path)?
        }
        Some(path) => {
            let setup = load::setup(path, args.dialect)?;
            PolicyReply {
                form: args.form.as_str().to_owned(),
                text: policies(&setup, args)?,
            }
        }
    };
    out.answer(&reply, |out| out.line(reply.text.trim_end()))
}

/// All policies; where there are several, a comment names each. A policy that the form cannot say is
/// an error that says what.
fn policies(setup: &Setup, args: &PolicyArgs) -> Result<String, Stop> {
    let runs = match args.open {
        true => Runs::Open,
        false => Runs::Folded,
    };
    match args.form {
        Form::Dot => return Ok(as_dot(setup, runs)),
        Form::Svg => return Ok(as_svg(setup, runs)),
        Form::List | Form::Tree => {}
    }
    let scenes = scenes(setup);
    let headed = need_headings(&scenes);
    let mut text = String::new();
    for scene in &scenes {
        if headed {
            text.push_str(&format!("# {}\n", scene.heading()));
        }
        match args.form {
            Form::List => match as_list(scene.policy) {
                Ok(list) => text.push_str(&list),
                Err(unsaid) => {
                    for reason in &unsaid {
                        complain(reason);
                    }
                    let why = format!("`{}` cannot be written as a list", scene.policy.name);
                    return Err(Stop::Failed(why));
                }
            },
            _ => text.push_str(&as_tree(scene.policy)),
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
