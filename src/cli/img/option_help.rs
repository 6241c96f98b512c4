//! `-o help`: the options of a format, from the tables that `create` and `amend` read.

use super::failure::Failure;
use super::session::Session;
use crate::graph::amend::not_amendable;
use crate::graph::create::tables::{amend_options, create_options, format_options, help_lines};
use crate::graph::create::{never_created, unknown_format};

/// `create -o help`: with a file name the host file's options are among them.
pub fn create(session: &Session, format: &str, filename: Option<&str>) -> Result<(), Failure> {
    let unknown = || unknown_format(format);
    let text = if filename.is_some() {
        let options = create_options(format).ok_or_else(unknown)?;
        format!("Supported options:\n{}", lines(&help_lines(&options)))
    } else {
        let options = format_options(format).ok_or_else(unknown)?;
        format!(
            "Supported {format} options:\n{}\n\
             The protocol level may support further options.\n\
             Specify the target filename to include those options.\n",
            lines(&help_lines(options))
        )
    };
    session.print(&text);
    Ok(())
}

/// `amend -o help`.
pub fn amend(session: &Session, format: &str) -> Result<(), Failure> {
    let options = match (amend_options(format), create_options(format)) {
        (Some(options), _) => options,
        (None, Some(_)) => return Err(not_amendable(format).into()),
        (None, None) if never_created(format) => return Err(not_amendable(format).into()),
        (None, None) => return Err(unknown_format(format).into()),
    };
    session.print(&format!(
        "Amend options for '{format}':\n{}",
        lines(&help_lines(options))
    ));
    Ok(())
}

fn lines(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}
