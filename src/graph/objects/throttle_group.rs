//! `--object throttle-group`: limits by name.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::base::{Error, Result};
use crate::driver::throttle::{Group, Limit, Limits};
use crate::graph::OptionTree;

/// The groups that a command line named.
pub type ThrottleGroups = HashMap<String, Arc<Group>>;

pub(super) const HELP: &str = "throttle-group options:
  limits=<ThrottleLimits>
  x-bps-read-max-length=<int>
  x-bps-read-max=<int>
  x-bps-read=<int>
  x-bps-total-max-length=<int>
  x-bps-total-max=<int>
  x-bps-total=<int>
  x-bps-write-max-length=<int>
  x-bps-write-max=<int>
  x-bps-write=<int>
  x-iops-read-max-length=<int>
  x-iops-read-max=<int>
  x-iops-read=<int>
  x-iops-size=<int>
  x-iops-total-max-length=<int>
  x-iops-total-max=<int>
  x-iops-total=<int>
  x-iops-write-max-length=<int>
  x-iops-write-max=<int>
  x-iops-write=<int>";

/// Where a limit of that name is kept.
fn slot<'l>(limits: &'l mut Limits, name: &str) -> Option<&'l mut i64> {
    if name == "iops-size" {
        return Some(&mut limits.request_bytes);
    }
    let (kind, rest) = name.split_once('-')?;
    let kind = match kind {
        "bps" => &mut limits.bytes,
        "iops" => &mut limits.requests,
        _ => return None,
    };
    let (side, part) = rest.split_once('-').unwrap_or((rest, ""));
    let side = ["total", "read", "write"]
        .iter()
        .position(|known| *known == side)?;
    let Limit {
        average,
        burst,
        burst_seconds,
    } = kind.get_mut(side)?;
    match part {
        "" => Some(average),
        "max" => Some(burst),
        "max-length" => Some(burst_seconds),
        _ => None,
    }
}

/// The group that an object's options describe.
pub(super) fn group(mut tree: OptionTree, json: bool) -> Result<Group> {
    if tree.lookup("limits").is_some() {
        return Err(Error::caller(
            "Invalid parameter type for 'limits', expected: object",
        ));
    }
    let mut limits = Limits::default();
    let mut given = tree.take_below("limits.");
    for (own, shown) in [("x-", "x-"), ("", "limits.")] {
        let source = if own.is_empty() {
            &mut given
        } else {
            &mut tree
        };
        let names: Vec<String> = source.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let Some(slot) = name
                .strip_prefix(own)
                .and_then(|name| slot(&mut limits, name))
            else {
                let shown = if own.is_empty() { shown } else { "" };
                return Err(Error::caller(format!(
                    "Parameter '{shown}{name}' is unexpected"
                )));
            };
            let shown = if own.is_empty() { shown } else { "" };
            let value = source.take(&name).unwrap_or_default();
            *slot = integer(&format!("{shown}{name}"), &value, json)?;
            if *slot < 0 && !own.is_empty() {
                return Err(Error::caller("Property values cannot be negative"));
            }
        }
    }
    limits.check()?;
    Ok(Group::new(&limits))
}

fn integer(name: &str, value: &Value, json: bool) -> Result<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if !json => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        Error::caller(if json {
            format!("Invalid parameter type for '{name}', expected: integer")
        } else {
            format!("Parameter '{name}' expects integer")
        })
    })
}
