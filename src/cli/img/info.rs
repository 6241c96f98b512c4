//! `qemu-img info`.

mod chain;
mod facts;
mod text;

use self::chain::Chain;
use super::arguments::Choice;
use super::failure::Outcome;
use super::session::{ImageOptions, OutputFormat, Session, one_image};
use crate::cli::json;

const CHOICES: &[Choice] = &[
    Choice::flag('h', "help"),
    Choice::value('f', "format"),
    Choice::long_flag("image-opts"),
    Choice::flag('b', "backing-chain"),
    Choice::flag('U', "force-share"),
    Choice::long_value("output"),
    Choice::long_value("object"),
];

/// Runs `qemu-img info`.
pub fn run(session: &mut Session, arguments: Vec<String>) -> Outcome {
    let mut image = ImageOptions::default();
    let mut output = OutputFormat::Human;
    let mut whole_chain = false;
    let mut given = session.arguments(CHOICES, arguments);
    while let Some(option) = session.next_option(&mut given)? {
        let Some(option) = image.take(option) else {
            continue;
        };
        match option.key {
            "backing-chain" => whole_chain = true,
            _ => output = OutputFormat::parse(&option.value)?,
        }
    }
    let name = one_image(given)?;
    image.refuse_contradiction()?;
    let environment = session.environment();
    let chain = Chain {
        options: image,
        environment: &environment,
        whole: whole_chain,
    };
    let layers = chain.gather(name)?;
    let printed = match output {
        OutputFormat::Human => {
            let texts: Vec<String> = layers.iter().map(text::image).collect();
            texts.join("\n")
        }
        OutputFormat::Json => {
            let values: Vec<_> = layers.iter().map(facts::image).collect();
            let value = match (whole_chain, <[_; 1]>::try_from(values)) {
                (false, Ok([value])) => value,
                (true, Ok(single)) => single.to_vec().into(),
                (_, Err(values)) => values.into(),
            };
            format!("{}\n", json::pretty(&value))
        }
    };
    session.print(&printed);
    Ok(0)
}

#[cfg(test)]
mod tests;
