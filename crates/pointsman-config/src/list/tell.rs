//! Which format a list has, and what its entries are.

use super::lines::{Line, Lines};
use super::{Behavior, Bytes, Format, Recipe, Unreadable};

/// How many entries are looked at.
const LOOKED_AT: usize = 256;

/// Tells what the recipe leaves open.
pub(super) fn tell(
    bytes: &mut dyn Bytes,
    _name: &str,
    recipe: &Recipe,
) -> Result<(Format, Option<Behavior>), Unreadable> {
    if let Some(format) = recipe.format {
        return Ok((format, recipe.behavior));
    }
    bytes.rewind()?;
    let mut lines = Lines::new(bytes);
    let mut first = None;
    for _ in 0..LOOKED_AT {
        let Some((_, Line::Text(line))) = lines.next()? else {
            break;
        };
        if line.starts_with("payload:") {
            return Ok((Format::Yaml, recipe.behavior));
        }
        let line = line.trim();
        if first.is_none() && !line.is_empty() && !line.starts_with('#') {
            first = Some(match line {
                _ if line.starts_with('{') => Format::Yaml,
                _ if line.starts_with("[Adblock") || line.starts_with('!') => Format::Adblock,
                _ => Format::Text,
            });
        }
    }
    Ok((first.unwrap_or(Format::Text), recipe.behavior))
}
