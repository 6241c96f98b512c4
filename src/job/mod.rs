//! Floor 6: convert, compare, commit, rebase, map, measure … as engines without a terminal.
