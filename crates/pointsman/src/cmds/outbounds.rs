//! `outbounds`: lists them, selects a member of a group.

use clap::{Args, Subcommand};
use pointsman_api::{OutboundList, OutboundState, SelectRequest, route};

use crate::cmds::status::described;
use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

/// Arguments of `outbounds`.
#[derive(Args, Debug)]
pub(crate) struct OutboundsArgs {
    #[command(subcommand)]
    what: Option<What>,
}

/// What is done with outbounds; without a word they are listed.
#[derive(Debug, Subcommand)]
enum What {
    /// List all outbounds
    List,
    /// Select a member of a group
    Select {
        /// The group
        group: String,
        /// Its member
        member: String,
    },
}

pub(crate) fn run(global: &Global, args: &OutboundsArgs, out: &mut Out) -> Result<(), Stop> {
    match &args.what {
        None | Some(What::List) => {
            let listed: OutboundList = control::get(global, route::OUTBOUNDS)?;
            out.answer(&listed, |out| {
                listed
                    .outbounds
                    .iter()
                    .try_for_each(|outbound| out.line(described(outbound)))
            })
        }
        Some(What::Select { group, member }) => {
            let path = route::filled(route::OUTBOUND_MEMBER, group);
            let request = SelectRequest {
                member: member.clone(),
            };
            let told: OutboundState = control::put(global, &path, &request)?;
            out.answer(&told, |out| {
                if out.quiet {
                    Ok(())
                } else {
                    let kept = told.not_kept.as_ref();
                    let kept = kept.map(|why| format!("; not kept over a restart: {why}"));
                    out.line(described(&told) + &kept.unwrap_or_default())
                }
            })
        }
    }
}
