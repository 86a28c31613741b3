//! v2ray's `geosite.dat` and `geoip.dat`: not built yet.

use super::{Bytes, Reading, Unreadable};

pub(super) fn read(_bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let select = reading.recipe.select.as_deref().unwrap_or("all");
    let message = format!("lists of this format are not built yet (`{select}`)");
    Err(Unreadable::malformed(message))
}
