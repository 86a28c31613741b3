//! `schema`: the JSON Schema of the native configuration, for editors.

use pointsman_config::dialect::native;

use crate::output::{Out, Stop};

pub(crate) fn run(out: &mut Out) -> Result<(), Stop> {
    let schema = native::schema();
    // The schema is JSON in any format: laid out for people, on one line for scripts.
    out.answer(&schema, |out| out.line(format_args!("{schema:#}")))
}
