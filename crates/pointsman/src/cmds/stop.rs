//! `stop`: ends the daemon cleanly.

use pointsman_api::{Stop as Stopping, route};
use serde_json::json;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

pub(crate) fn run(global: &Global, out: &mut Out) -> Result<(), Stop> {
    let told: Stopping = control::post(global, route::STOP, &json!({}))?;
    out.answer(&told, |out| {
        if out.quiet {
            return Ok(());
        }
        let Stopping {
            state,
            flows_live,
            grace_ms,
        } = &told;
        let flows = match flows_live {
            0 => "no live flows".to_owned(),
            1 => format!("1 live flow has {grace_ms} ms"),
            many => format!("{many} live flows have {grace_ms} ms"),
        };
        out.line(format_args!("{state}: {flows}"))
    })
}
