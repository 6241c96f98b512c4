//! Changing the options of an image: from `amend -o …` to a request that its driver understands.

use super::create::prepare::checked;
use super::create::tables::{OptionSpec, amend_options, format_options};
use super::options::values::parse_switch;
use super::{Environment, OptionTree};
use crate::base::{Error, Result};
use crate::node::amend::AmendProgress;
use crate::node::{AmendRequest, SharedNode};

/// What `-o` says about an image of a format, each option checked by name and kind.
#[derive(Clone, Debug, Default)]
pub struct Checked(Vec<(&'static str, String)>);

/// The refusal of a format that has nothing to amend.
pub fn not_amendable(format: &str) -> Error {
    Error::unsupported(format!(
        "Format driver '{format}' does not support option amendment"
    ))
}

/// Checks the options that an image of `format` is to get.
pub fn check(format: &str, options: &OptionTree) -> Result<Checked> {
    let known = amend_options(format).ok_or_else(|| not_amendable(format))?;
    let mut checked_options = Vec::new();
    for (name, value) in options.iter() {
        let spec = known
            .iter()
            .find(|option| option.name == name)
            .ok_or_else(|| unknown(format, name, options))?;
        let text = checked(spec, value)?;
        checked_options.push((spec.name, text));
    }
    Ok(Checked(checked_options))
}

/// The refusal of an option; with a hint when `create` would take all of them.
fn unknown(format: &str, name: &str, given: &OptionTree) -> Error {
    let error = Error::caller(format!("Invalid parameter '{name}'"));
    let amendable = amend_options(format).unwrap_or_default();
    let creatable = |known: &[OptionSpec]| {
        given.iter().all(|(name, value)| {
            let mut options = known.iter().chain(amendable);
            let spec = options.find(|option| option.name == name);
            spec.is_some_and(|spec| checked(spec, value).is_ok())
        })
    };
    if format_options(format).is_some_and(creatable) {
        error.with_hint("This option is only supported for image creation")
    } else {
        error
    }
}

/// Changes the options of the image behind `node`.
pub fn amend(
    node: &SharedNode,
    options: &Checked,
    force: bool,
    environment: &Environment,
    progress: AmendProgress<'_>,
) -> Result<()> {
    let mut request = AmendRequest::new(&environment.secrets, progress);
    request.force = force;
    for (name, value) in &options.0 {
        set(&mut request, name, value)?;
    }
    node.amend(&request)
}

fn set(request: &mut AmendRequest<'_>, name: &str, value: &str) -> Result<()> {
    // Sizes and numbers come as signed texts.
    let number = || {
        value
            .parse()
            .map(i64::cast_unsigned)
            .map_err(|_| Error::caller(format!("Parameter '{name}' expects a number")))
    };
    match name {
        "compat" => request.compat = Some(value.to_owned()),
        "size" => request.size = Some(number()?),
        "backing_file" => request.backing_file = Some(value.to_owned()),
        "backing_fmt" => request.backing_format = Some(value.to_owned()),
        "data_file" => request.data_file = Some(value.to_owned()),
        "data_file_raw" => request.data_file_raw = Some(parse_switch(name, value)?),
        "lazy_refcounts" => request.lazy_refcounts = Some(parse_switch(name, value)?),
        "refcount_bits" => request.refcount_bits = Some(number()?),
        slots => {
            let slots = slots.strip_prefix("encrypt.").unwrap_or(slots);
            let change = request.key_slots.get_or_insert_default();
            if !change.set(slots, value) {
                return Err(Error::caller(format!("Invalid parameter '{name}'")));
            }
        }
    }
    Ok(())
}
