//! Floor 8: subjects, iotest scripts, the runner and its reporters. Drives subjects as subprocesses only.
