//! The commands, in the order in which `help` lists them.

use super::command::{Command, Needs};
use super::{change, control, inspect, open, read, write};

/// A command without a second name, long text and arguments; the table fills in what is different.
const PLAIN: Command = Command {
    name: "",
    alias: None,
    fewest: 0,
    most: Some(0),
    needs: Needs::Image,
    arguments: None,
    summary: "",
    text: "",
    run: control::quit,
};

/// Every command.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "abort",
        needs: Needs::Nothing,
        summary: "simulate a program crash using abort(3)",
        run: control::abort,
        ..PLAIN
    },
    Command {
        name: "aio_flush",
        summary: "completes all outstanding aio requests",
        run: change::aio_flush,
        ..PLAIN
    },
    Command {
        name: "aio_read",
        fewest: 2,
        most: None,
        arguments: Some("[-Ciqrv] [-P pattern] off len [len..]"),
        summary: "asynchronously reads a number of bytes",
        text: include_str!("help/aio_read.txt"),
        run: read::aio_read,
        ..PLAIN
    },
    Command {
        name: "aio_write",
        fewest: 2,
        most: None,
        needs: Needs::WritableImage,
        arguments: Some("[-Cfiqruz] [-P pattern] off len [len..]"),
        summary: "asynchronously writes a number of bytes",
        text: include_str!("help/aio_write.txt"),
        run: write::aio_write,
        ..PLAIN
    },
    Command {
        name: "alloc",
        alias: Some("a"),
        fewest: 1,
        most: Some(2),
        arguments: Some("offset [count]"),
        summary: "checks if offset is allocated in the file",
        run: inspect::alloc,
        ..PLAIN
    },
    Command {
        name: "break",
        fewest: 2,
        most: Some(2),
        arguments: Some("event tag"),
        summary: "sets a breakpoint on event and tags the stopped request as tag",
        run: control::set_break,
        ..PLAIN
    },
    Command {
        name: "close",
        alias: Some("c"),
        summary: "close the current open file",
        run: open::close,
        ..PLAIN
    },
    Command {
        name: "discard",
        alias: Some("d"),
        fewest: 2,
        most: None,
        needs: Needs::WritableImage,
        arguments: Some("[-Cq] off len"),
        summary: "discards a number of bytes at a specified offset",
        text: include_str!("help/discard.txt"),
        run: change::discard,
    },
    Command {
        name: "flush",
        alias: Some("f"),
        summary: "flush all in-core file state to disk",
        run: change::flush,
        ..PLAIN
    },
    Command {
        name: "help",
        alias: Some("?"),
        most: Some(1),
        needs: Needs::Nothing,
        arguments: Some("[command]"),
        summary: "help for one or all commands",
        run: control::help,
        ..PLAIN
    },
    Command {
        name: "info",
        alias: Some("i"),
        summary: "prints information about the current file",
        run: inspect::info,
        ..PLAIN
    },
    Command {
        name: "length",
        alias: Some("l"),
        summary: "gets the length of the current file",
        run: inspect::length,
        ..PLAIN
    },
    Command {
        name: "map",
        arguments: Some(""),
        summary: "prints the allocated areas of a file",
        run: inspect::map,
        ..PLAIN
    },
    Command {
        name: "open",
        alias: Some("o"),
        fewest: 1,
        most: None,
        needs: Needs::Nothing,
        arguments: Some("[-rsCnkU] [-t cache] [-d discard] [-o options] [path]"),
        summary: "open the file specified by path",
        text: include_str!("help/open.txt"),
        run: open::open,
    },
    Command {
        name: "quit",
        alias: Some("q"),
        most: None,
        needs: Needs::Nothing,
        summary: "exit the program",
        run: control::quit,
        ..PLAIN
    },
    Command {
        name: "read",
        alias: Some("r"),
        fewest: 2,
        most: None,
        arguments: Some("[-abCqrv] [-P pattern [-s off] [-l len]] off len"),
        summary: "reads a number of bytes at a specified offset",
        text: include_str!("help/read.txt"),
        run: read::read,
        ..PLAIN
    },
    Command {
        name: "readv",
        fewest: 2,
        most: None,
        arguments: Some("[-Cqrv] [-P pattern] off len [len..]"),
        summary: "reads a number of bytes at a specified offset",
        text: include_str!("help/readv.txt"),
        run: read::readv,
        ..PLAIN
    },
    Command {
        name: "remove_break",
        fewest: 1,
        most: Some(1),
        arguments: Some("tag"),
        summary: "remove a breakpoint by tag",
        run: control::remove_break,
        ..PLAIN
    },
    Command {
        name: "reopen",
        most: None,
        arguments: Some("[(-r|-w)] [-c cache] [-o options]"),
        summary: "reopens an image with new options",
        text: include_str!("help/reopen.txt"),
        run: open::reopen,
        ..PLAIN
    },
    Command {
        name: "resume",
        fewest: 1,
        most: Some(1),
        arguments: Some("tag"),
        summary: "resumes the request tagged as tag",
        run: control::resume,
        ..PLAIN
    },
    Command {
        name: "sigraise",
        fewest: 1,
        most: Some(1),
        needs: Needs::Nothing,
        arguments: Some("signal"),
        summary: "raises a signal",
        text: include_str!("help/sigraise.txt"),
        run: control::sigraise,
        ..PLAIN
    },
    Command {
        name: "sleep",
        fewest: 1,
        most: Some(1),
        needs: Needs::Nothing,
        summary: "waits for the given value in milliseconds",
        run: control::sleep,
        ..PLAIN
    },
    Command {
        name: "truncate",
        alias: Some("t"),
        fewest: 1,
        most: Some(3),
        needs: Needs::WritableImage,
        arguments: Some("[-m prealloc_mode] off"),
        summary: "truncates the current file at the given offset",
        run: change::truncate,
        ..PLAIN
    },
    Command {
        name: "wait_break",
        fewest: 1,
        most: Some(1),
        arguments: Some("tag"),
        summary: "waits for the suspension of a request",
        run: control::wait_break,
        ..PLAIN
    },
    Command {
        name: "write",
        alias: Some("w"),
        fewest: 2,
        most: None,
        needs: Needs::WritableImage,
        arguments: Some("[-bcCfnqruz] [-P pattern | -s source_file] off len"),
        summary: "writes a number of bytes at a specified offset",
        text: include_str!("help/write.txt"),
        run: write::write,
    },
    Command {
        name: "writev",
        fewest: 2,
        most: None,
        needs: Needs::WritableImage,
        arguments: Some("[-Cfqr] [-P pattern] off len [len..]"),
        summary: "writes a number of bytes at a specified offset",
        text: include_str!("help/writev.txt"),
        run: write::writev,
        ..PLAIN
    },
    Command {
        name: "zone_append",
        alias: Some("zap"),
        fewest: 3,
        most: Some(4),
        arguments: Some("offset len [len..]"),
        summary: "append write a number of bytes at a specified offset",
        run: change::zone_append,
        ..PLAIN
    },
    Command {
        name: "zone_close",
        alias: Some("zc"),
        fewest: 2,
        most: Some(2),
        arguments: Some("offset len"),
        summary: "close a range of zones in zone block device",
        run: change::zone_close,
        ..PLAIN
    },
    Command {
        name: "zone_finish",
        alias: Some("zf"),
        fewest: 2,
        most: Some(2),
        arguments: Some("offset len"),
        summary: "finish a range of zones in zone block device",
        run: change::zone_finish,
        ..PLAIN
    },
    Command {
        name: "zone_open",
        alias: Some("zo"),
        fewest: 2,
        most: Some(2),
        arguments: Some("offset len"),
        summary: "explicit open a range of zones in zone block device",
        run: change::zone_open,
        ..PLAIN
    },
    Command {
        name: "zone_report",
        alias: Some("zrp"),
        fewest: 2,
        most: Some(2),
        arguments: Some("offset number"),
        summary: "report zone information",
        run: change::zone_report,
        ..PLAIN
    },
    Command {
        name: "zone_reset",
        alias: Some("zrs"),
        fewest: 2,
        most: Some(2),
        arguments: Some("offset len"),
        summary: "reset a zone write pointer in zone block device",
        run: change::zone_reset,
        ..PLAIN
    },
];

/// The command with that name or second name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS
        .iter()
        .find(|command| command.name == name || command.alias == Some(name))
}
