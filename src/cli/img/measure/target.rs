//! The image that `measure` is asked about.

use super::super::failure::Failure;
use super::super::session::Session;
use crate::base::size::parse_option;
use crate::base::{Error, Result};
use crate::driver::luks::volume::{check_iter_time, plan_volume};
use crate::graph::create::tables::{OptionSpec, ValueKind, create_options};
use crate::graph::create::{take_luks, unknown_format};
use crate::graph::options::values::{parse_number, parse_switch};
use crate::graph::{Environment, OptionTree};
use crate::job::measure::{self, Qcow2Target, Sizes};
use crate::node::{Preallocation, SharedNode};

/// Its format, with what matters for the size.
#[derive(Debug)]
pub(super) enum Target {
    Raw,
    Luks {
        header: u64,
    },
    Qcow2 {
        target: Qcow2Target,
        /// What the source leaves out has to be hidden: all is data.
        backed: bool,
        /// Version 3 has bitmaps.
        bitmaps: bool,
    },
}

impl Target {
    /// From `-O` and `-o`.
    pub(super) fn parse(
        session: &Session,
        format: &str,
        mut tree: OptionTree,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let specs = create_options(format).ok_or_else(|| Failure::from(unknown_format(format)))?;
        for (name, value) in tree.iter() {
            if let Err(error) = check(&specs, name, value.as_str().unwrap_or_default()) {
                session.report(&error);
                return Err(Failure::words(format!(
                    "Invalid options for file format '{format}'"
                )));
            }
        }
        if !matches!(format, "raw" | "qcow2" | "luks") {
            return Err(Failure::words(format!(
                "Block driver '{format}' does not support size measurement"
            )));
        }
        Ok(match format {
            "raw" => Self::Raw,
            "luks" => Self::Luks {
                header: luks_header(tree, "", environment)?,
            },
            _ => Self::Qcow2 {
                backed: tree.lookup("backing_file").is_some(),
                bitmaps: tree.lookup("compat").is_none_or(|level| level != "0.10"),
                target: qcow2(&mut tree, environment)?,
            },
        })
    }

    /// The sizes of such an image with `size` guest bytes, empty or with the data of `source`.
    pub(super) fn measure(&self, size: u64, source: Option<&SharedNode>) -> Result<Sizes> {
        match self {
            Self::Raw => Ok(measure::flat(size.next_multiple_of(512), 0)),
            Self::Luks { header } => Ok(measure::flat(size, *header)),
            Self::Qcow2 {
                target,
                backed,
                bitmaps: has_bitmaps,
            } => {
                let data = match source {
                    Some(_) if *backed => size,
                    Some(source) => measure::data_bytes(source, target.cluster_size)?,
                    None => 0,
                };
                let mut sizes = measure::qcow2(target, size, data)?;
                if let (Some(source), true) = (source, *has_bitmaps) {
                    sizes.bitmaps = bitmaps(source, size, target.cluster_size)?;
                }
                Ok(sizes)
            }
        }
    }
}

fn check(specs: &[OptionSpec], name: &str, value: &str) -> Result<()> {
    let spec = specs
        .iter()
        .find(|spec| spec.name == name)
        .ok_or_else(|| Error::caller(format!("Invalid parameter '{name}'")))?;
    match spec.kind {
        ValueKind::Text => Ok(()),
        ValueKind::Switch => parse_switch(name, value).map(|_| ()),
        ValueKind::Size => parse_option(name, value).map(|_| ()),
        ValueKind::Number => parse_number(name, value).map(|_| ()),
    }
}

fn qcow2(tree: &mut OptionTree, environment: &Environment) -> Result<Qcow2Target> {
    let cluster_size = tree.take_size("cluster_size")?.unwrap_or(65536);
    if !cluster_size.is_power_of_two() || !(512..=2 << 20).contains(&cluster_size) {
        return Err(Error::caller(
            "Cluster size must be a power of two between 512 and 2048k",
        ));
    }
    let extended_l2 = tree.take_switch("extended_l2")?.unwrap_or(false);
    if extended_l2 && cluster_size < 16384 {
        return Err(Error::caller(
            "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes",
        ));
    }
    let preallocation = match tree.take_text("preallocation").as_deref() {
        None | Some("off" | "") => Preallocation::Off,
        Some("metadata") => Preallocation::Metadata,
        Some("falloc") => Preallocation::Falloc,
        Some("full") => Preallocation::Full,
        Some(other) => {
            return Err(Error::caller(format!("invalid parameter value: {other}")));
        }
    };
    let refcount_bits = refcount_bits(tree)?;
    let encryption_header = match tree.take_text("encrypt.format").as_deref() {
        Some("luks") => luks_header(tree.take_below("encrypt."), "encrypt.", environment)?,
        _ => 0,
    };
    Ok(Qcow2Target {
        cluster_size,
        refcount_bits,
        extended_l2,
        encryption_header,
        preallocation,
    })
}

fn refcount_bits(tree: &mut OptionTree) -> Result<u64> {
    // The other spellings of a level are not understood here, unlike by `create`.
    let old = match tree.take_text("compat").as_deref() {
        None | Some("1.1") => false,
        Some("0.10") => true,
        Some(other) => {
            return Err(Error::caller(format!(
                "Invalid compatibility level: '{other}'"
            )));
        }
    };
    let bits = tree.take_number("refcount_bits")?.unwrap_or(16);
    if !bits.is_power_of_two() || bits > 64 {
        return Err(Error::caller(
            "Refcount width must be a power of two and may not exceed 64 bits",
        ));
    }
    if old && bits != 16 {
        return Err(Error::caller(
            "Different refcount widths than 16 bits require compatibility level 1.1 or above \
             (use compat=1.1 or greater)",
        ));
    }
    Ok(bits)
}

/// Bytes before the payload of a volume with these options, which must name a usable secret.
fn luks_header(mut tree: OptionTree, prefix: &str, environment: &Environment) -> Result<u64> {
    let options = take_luks(&mut tree, prefix)?;
    let secret = tree.take_text("key-secret").ok_or_else(|| {
        Error::key(format!(
            "Parameter '{prefix}key-secret' is required for cipher"
        ))
    })?;
    environment.secrets.passphrase(&secret)?;
    let header = plan_volume(&options)?;
    check_iter_time(&options)?;
    Ok(header)
}

/// Bytes for the source's persistent bitmaps; `None` when the source can't have any.
fn bitmaps(source: &SharedNode, size: u64, cluster_size: u64) -> Result<Option<u64>> {
    let Some(("qcow2", data)) = source.info()?.specific else {
        return Ok(None);
    };
    if data.get("compat").and_then(|level| level.as_str()) == Some("0.10") {
        return Ok(None);
    }
    let listed = data
        .get("bitmaps")
        .and_then(|list| list.as_array())
        .map(Vec::as_slice)
        .unwrap_or_default();
    let facts: Vec<(u64, u64)> = listed
        .iter()
        .filter_map(|bitmap| {
            let granularity = bitmap.get("granularity")?.as_u64()?;
            let name = bitmap.get("name")?.as_str()?;
            Some((granularity, name.len() as u64))
        })
        .collect();
    Ok(Some(measure::bitmap_bytes(size, cluster_size, &facts)))
}
