//! `blkdebug` nodes: what their options, their configuration file and their short name say.

use std::sync::Arc;

use serde_json::Value;

use super::opener::{NodeFlags, Opener};
use super::{protocol, shown};
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::driver::blkdebug::{
    Blkdebug, BlkdebugOptions, InjectError, IoTypes, Limits, Rule, Section, SetState, parse_config,
};
use crate::graph::OptionTree;
use crate::graph::options::values::{invalid_value, parse_switch, text_of};
use crate::node::{DebugEvent, Node, SharedNode};

/// The two lists of rules.
const GROUPS: [&str; 2] = ["inject-error", "set-state"];

/// Opens the node of `blkdebug:CONFIG:IMAGE`; `rest` is what follows the first colon.
pub(super) fn open_named(opener: &Opener<'_>, rest: &str, flags: NodeFlags) -> Result<SharedNode> {
    let Some((config, image)) = rest.split_once(':') else {
        return Err(Error::caller(
            "blkdebug requires both config file and image path",
        ));
    };
    let mut tree = OptionTree::default();
    if !config.is_empty() {
        tree.set("config", config);
    }
    tree.set("x-image", image);
    open(opener, tree, flags)
}

/// Opens the node that `tree` describes.
pub(super) fn open(
    opener: &Opener<'_>,
    mut tree: OptionTree,
    flags: NodeFlags,
) -> Result<SharedNode> {
    let given = tree.clone();
    tree.take("filename");
    let rules = take_rules(&mut tree)?;
    let below = open_image(opener, &mut tree, flags)?;
    let limits = Limits {
        align: tree.take_size("align")?.unwrap_or(0),
        max_transfer: tree.take_size("max-transfer")?.unwrap_or(0),
        opt_write_zero: tree.take_size("opt-write-zero")?.unwrap_or(0),
        max_write_zero: tree.take_size("max-write-zero")?.unwrap_or(0),
        opt_discard: tree.take_size("opt-discard")?.unwrap_or(0),
        max_discard: tree.take_size("max-discard")?.unwrap_or(0),
    };
    take_permissions(&mut tree)?;
    let options = BlkdebugOptions {
        filename: name_of(&given, below.as_ref()),
        limits,
        rules,
    };
    let node = Blkdebug::new(below, options)?;
    protocol::refuse_leftovers("blkdebug", &tree)?;
    Ok(Arc::new(node))
}

fn open_image(opener: &Opener<'_>, tree: &mut OptionTree, flags: NodeFlags) -> Result<SharedNode> {
    if let Some(name) = tree.take_text("x-image") {
        let below = tree.take_below("image.");
        return opener.open_named_child(name, below, flags);
    }
    opener.open_required(tree, "image", flags)
}

/// `blkdebug:CONFIG:IMAGE` where that says all, else a `json:` name.
fn name_of(given: &OptionTree, below: &dyn Node) -> String {
    let plain = given.iter().all(|(name, _)| {
        matches!(name, "config" | "x-image" | "filename") || name.starts_with("image.")
    });
    let filename = below.filename();
    if plain && !filename.starts_with("json:") {
        let config = given.lookup("config").and_then(text_of).unwrap_or_default();
        return format!("blkdebug:{config}:{filename}");
    }
    let mut members: Vec<(String, Value)> = vec![
        ("image".to_owned(), shown::node_member(below)),
        ("driver".to_owned(), "blkdebug".into()),
    ];
    let own = given.iter().filter(|(name, _)| {
        !matches!(*name, "x-image" | "filename" | "image") && !name.starts_with("image.")
    });
    members.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
    shown::json_name(members)
}

/// The rules of the configuration file, then those of the options.
fn take_rules(tree: &mut OptionTree) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    if let Some(path) = tree.take_text("config") {
        let file = std::fs::File::open(&path).map_err(|error| {
            Error::from(error).prefixed("Could not read blkdebug config file: ")
        })?;
        let text = std::io::read_to_string(file)
            .map_err(|error| Error::from(error).prefixed("Cannot read config file: "))?;
        for section in parse_config(&text)? {
            rules.push(rule_of(&section, true)?);
        }
    }
    for group in GROUPS {
        let mut below = tree.take_below(&format!("{group}."));
        let single = !below.is_empty() && below.iter().all(|(name, _)| is_key(name));
        if single {
            // One rule that is no list.
            rules.push(rule_of(
                &section_of(group, &std::mem::take(&mut below)),
                false,
            )?);
        }
        for index in 0_u32.. {
            if below.lookup(&index.to_string()).is_some() {
                return Err(Error::caller(format!(
                    "[{group}] section (index {index}) does not consist of keys"
                )));
            }
            let entry = below.take_below(&format!("{index}."));
            if entry.is_empty() {
                break;
            }
            rules.push(rule_of(&section_of(group, &entry), false)?);
        }
        if let Some((name, _)) = below.iter().next() {
            return Err(Error::caller(format!(
                "Unused option '{name}' for [{group}]"
            )));
        }
    }
    Ok(rules)
}

/// Neither a place in a list nor below one.
fn is_key(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
}

fn section_of(group: &str, entry: &OptionTree) -> Section {
    let entries = entry
        .iter()
        .map(|(name, value)| (name.to_owned(), text_of(value).unwrap_or_default()))
        .collect();
    Section {
        group: group.to_owned(),
        entries,
    }
}

const INJECT_ERROR: [&str; 7] = [
    "event",
    "state",
    "iotype",
    "errno",
    "sector",
    "once",
    "immediately",
];
const SET_STATE: [&str; 3] = ["event", "state", "new_state"];

fn rule_of(section: &Section, from_file: bool) -> Result<Rule> {
    let known: &[&str] = match section.group.as_str() {
        "inject-error" => &INJECT_ERROR,
        _ => &SET_STATE,
    };
    let mut tree = OptionTree::default();
    for (name, value) in &section.entries {
        if !known.contains(&name.as_str()) {
            return Err(Error::caller(if from_file {
                format!("Invalid parameter '{name}'")
            } else {
                format!(
                    "[{}] section doesn't support the option '{name}'",
                    section.group
                )
            }));
        }
        tree.set(name, value.as_str());
    }
    let take_number = |tree: &mut OptionTree, name: &str| {
        tree.take_text(name)
            .map(|text| number(name, &text))
            .transpose()
    };
    let state = take_number(&mut tree, "state")?.filter(|state| *state != 0);
    let errno = take_number(&mut tree, "errno")?;
    let sector = take_number(&mut tree, "sector")?;
    let new_state = take_number(&mut tree, "new_state")?.unwrap_or(0);
    let switch = |tree: &mut OptionTree, name: &str| {
        tree.take_text(name)
            .map_or(Ok(false), |text| parse_switch(name, &text))
    };
    let once = switch(&mut tree, "once")?;
    let immediately = switch(&mut tree, "immediately")?;
    let Some(event) = tree.take_text("event") else {
        return Err(Error::caller("Missing event name for rule"));
    };
    let event = DebugEvent::by_name(&event).ok_or_else(|| invalid_value(&event))?;
    if section.group == "set-state" {
        return Ok(Rule::State(SetState {
            event,
            state,
            new_state,
        }));
    }
    let io_types = match tree.take_text("iotype") {
        Some(name) => IoTypes::by_name(&name).ok_or_else(|| invalid_value(&name))?,
        None => IoTypes::DEFAULT,
    };
    Ok(Rule::Inject(InjectError {
        event,
        state,
        io_types,
        errno: errno.map_or(errno::EIO, wrapped),
        // -1 means any sector; there are no others below zero.
        sector: match sector {
            None | Some(-1) => None,
            Some(sector) => Some(u64::try_from(sector).unwrap_or(u64::MAX)),
        },
        once,
        immediately,
    }))
}

/// A number as the real tools read it: 64 bits, where a minus sign counts from the top.
fn number(name: &str, text: &str) -> Result<i64> {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let value = crate::graph::options::values::parse_number(name, digits)?;
    let value = i64::from_ne_bytes(value.to_ne_bytes());
    Ok(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// The low 32 bits: what is left of a large errno.
fn wrapped(value: i64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// `take-child-perms`, `unshare-child-perms`: checked; the node holds no locks of its own.
fn take_permissions(tree: &mut OptionTree) -> Result<()> {
    for name in ["take-child-perms.", "unshare-child-perms."] {
        for (_, value) in tree.take_below(name).iter() {
            let value = text_of(value).unwrap_or_default();
            if !["consistent-read", "write", "write-unchanged", "resize"].contains(&value.as_str())
            {
                return Err(Error::caller(format!(
                    "Parameter 'null' does not accept value '{value}'"
                )));
            }
        }
    }
    Ok(())
}
