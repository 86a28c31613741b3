//! `version`.

use serde_json::json;

use crate::output::{Out, Stop};

pub(crate) fn run(out: &mut Out) -> Result<(), Stop> {
    let version = env!("CARGO_PKG_VERSION");
    out.answer(&json!({ "version": version }), |out| {
        out.line(format_args!("pointsman {version}"))
    })
}
