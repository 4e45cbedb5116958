//! What strangers may cost, by name.

use std::collections::HashMap;

use pyo3::prelude::*;

use mobike_ike::{PrefixLimits, PuzzleLimits};

use crate::read::wrong;

/// The limits for prefixes; those that are not named are as shipped.
pub(crate) fn prefixes(named: Option<HashMap<String, u32>>) -> PyResult<PrefixLimits> {
    let mut limits = PrefixLimits::default();
    for (name, value) in named.unwrap_or_default() {
        let bits = |most: u8| {
            let bits = u8::try_from(value).ok().filter(|bits| *bits <= most);
            bits.ok_or_else(|| wrong("prefix_limits", format_args!("{name} is beyond {most}")))
        };
        match name.as_str() {
            "v4" => limits.site.0 = bits(32)?,
            "v6" => limits.site.1 = bits(128)?,
            "network_v4" => limits.network.0 = bits(32)?,
            "network_v6" => limits.network.1 = bits(128)?,
            "cookie_threshold" => limits.cookie_threshold = value,
            "max" => limits.max = value,
            "network_times" => limits.network_times = value,
            "forgiven_per_second" => limits.forgiven_per_second = value,
            "failure_costs" => limits.failure_costs = value,
            "tracked" => limits.tracked = value,
            _ => return Err(wrong("prefix_limits", format_args!("{name} is none of them"))),
        }
    }
    Ok(limits)
}

/// The limits for puzzles; those that are not named are as shipped.
pub(crate) fn puzzles(named: Option<HashMap<String, u32>>) -> PyResult<PuzzleLimits> {
    let mut limits = PuzzleLimits::default();
    for (name, value) in named.unwrap_or_default() {
        let bits = || u8::try_from(value).map_err(|_| wrong("puzzle_limits", format_args!("{name} is beyond 255")));
        match name.as_str() {
            "threshold" => limits.threshold = value,
            "easiest" => limits.easiest = bits()?,
            "hardest" => limits.hardest = bits()?,
            "unsolved_per_second" => limits.unsolved_per_second = value,
            "auth_threshold" => limits.auth_threshold = value,
            _ => return Err(wrong("puzzle_limits", format_args!("{name} is none of them"))),
        }
    }
    Ok(limits)
}
