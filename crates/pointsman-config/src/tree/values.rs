//! What tests of any fact have in common: operators, names and ranges.

use std::net::IpAddr;

use pointsman_policy::{Domain, Prefix};

use super::Name;
use super::lowering::{Lowerer, offer};

/// Checks an operator; told once a test although it is asked for each value.
pub(super) fn operator(lowerer: &mut Lowerer<'_>, op: &Name, known: &[&str]) -> Option<()> {
    if known.contains(&op.text.as_str()) {
        return Some(());
    }
    let told = |p: &mut crate::Problem| p.code == "unknown-operator" && p.span == op.span;
    if lowerer.problems.last_mut().is_some_and(told) {
        return None;
    }
    let message = format!("`{}` is no operator here", op.text);
    let hint = if matches!(op.text.as_str(), "neq" | "ne" | "!=" | "not") {
        "write `not` before the condition: `cond not port eq 22 => ...`".to_owned()
    } else {
        offer(&op.text, known.iter().copied())
    };
    lowerer.error("unknown-operator", &op.span, message, hint);
    None
}

pub(super) fn name(lowerer: &mut Lowerer<'_>, value: &Name) -> Option<Domain> {
    match Domain::parse(&value.text) {
        Ok(name) => Some(name),
        Err(why) => {
            let message = format!("`{}` is no domain: {why}", value.text);
            lowerer.error("invalid-value", &value.span, message, String::new());
            None
        }
    }
}

/// The prefixes of an address, of a prefix, or of all addresses from one to another (`A-B`).
pub(super) fn prefixes(text: &str) -> Result<Vec<Prefix>, String> {
    let parsed = |text: &str| text.parse::<Prefix>().map_err(|why| why.to_string());
    let Some((first, last)) = text.split_once('-') else {
        return Ok(vec![parsed(text)?]);
    };
    let (first, last) = (parsed(first)?, parsed(last)?);
    if !first.is_single() || !last.is_single() {
        return Err(format!("`{text}` must go from an address to an address"));
    }
    let (width, low, high) = match (first.address(), last.address()) {
        (IpAddr::V4(low), IpAddr::V4(high)) => {
            (32, u128::from(u32::from(low)), u128::from(u32::from(high)))
        }
        (IpAddr::V6(low), IpAddr::V6(high)) => (128, u128::from(low), u128::from(high)),
        _ => return Err(format!("`{text}` mixes IPv4 and IPv6")),
    };
    if low > high {
        return Err(format!("`{text}` ends before it begins"));
    }
    let mut found = Vec::new();
    let mut at = Some(low);
    while let Some(start) = at.filter(|start| *start <= high) {
        // The largest block that begins here and does not go too far.
        let aligned = start.trailing_zeros().min(width);
        let fits = |bits: &u32| {
            let size = 1_u128.checked_shl(*bits).map_or(u128::MAX, |size| size - 1);
            start.checked_add(size).is_some_and(|end| end <= high)
        };
        let bits = (0..=aligned).rev().find(fits).unwrap_or(0);
        let address = match width {
            32 => IpAddr::V4(u32::try_from(start).unwrap_or(u32::MAX).into()),
            _ => IpAddr::V6(start.into()),
        };
        found.push(parsed(&format!("{address}/{}", width - bits))?);
        at = 1_u128
            .checked_shl(bits)
            .and_then(|size| start.checked_add(size));
    }
    Ok(found)
}
