//! Figures as the tool prints them: sizes with three decimals, times, rates, hex dumps.

use std::fmt::Write as _;
use std::time::Duration;

/// Sizes with the unit that fits; zeros behind the point are left out when there is nothing else.
pub(super) fn human(value: f64) -> String {
    const UNITS: [(u32, &str); 6] = [
        (60, "EiB"),
        (50, "PiB"),
        (40, "TiB"),
        (30, "GiB"),
        (20, "MiB"),
        (10, "KiB"),
    ];
    for (shift, unit) in UNITS {
        let scale = 2f64.powi(shift.cast_signed());
        if value >= scale {
            let text = format!("{:.3}", value / scale);
            return format!("{} {unit}", text.strip_suffix(".000").unwrap_or(&text));
        }
    }
    let text = format!("{value:.6}");
    format!("{} bytes", text.strip_suffix(".000000").unwrap_or(&text))
}

#[expect(clippy::cast_precision_loss, reason = "three decimals are printed")]
pub(super) fn human_bytes(bytes: u64) -> String {
    human(bytes as f64)
}

/// `00.01 sec` below a minute, `0:01:00.00` above and in the machine's form.
fn clock(time: Duration, full: bool) -> String {
    let seconds = time.as_secs();
    let hundredths = time.subsec_millis() / 10;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if full || seconds >= 60 {
        format!("{hours}:{minutes:02}:{:02}.{hundredths:02}", seconds % 60)
    } else {
        format!("{seconds:02}.{hundredths:02} sec")
    }
}

/// One finished operation.
pub(super) struct Report {
    /// `read`, `wrote`, `discard`.
    pub(super) verb: &'static str,
    pub(super) offset: u64,
    pub(super) count: u64,
    pub(super) time: Duration,
    /// `-C`.
    pub(super) machine: bool,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn text(&self) -> String {
        let Self {
            verb,
            offset,
            count,
            ..
        } = self;
        let seconds = self.time.max(Duration::from_nanos(1)).as_secs_f64();
        let (bytes_rate, ops_rate) = (*count as f64 / seconds, 1.0 / seconds);
        let time = clock(self.time, self.machine);
        if self.machine {
            return format!("{count},1,{time},{bytes_rate:.3},{ops_rate:.3}\n");
        }
        format!(
            "{verb} {count}/{count} bytes at offset {offset}\n{}, 1 ops; {time} ({}/sec and {ops_rate:.4} ops/sec)\n",
            human_bytes(*count),
            human(bytes_rate),
        )
    }
}

/// `-v`: sixteen bytes a line, letters and digits shown.
pub(super) fn dump(offset: u64, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 5 + 80);
    let mut place = offset;
    for row in bytes.chunks(16) {
        let _ = write!(text, "{place:08x}:  ");
        for byte in row {
            let _ = write!(text, "{byte:02x} ");
        }
        text.push(' ');
        let shown = |byte: &u8| {
            if byte.is_ascii_alphanumeric() {
                char::from(*byte)
            } else {
                '.'
            }
        };
        text.extend(row.iter().map(shown));
        text.push('\n');
        place += 16;
    }
    text
}

#[cfg(test)]
mod tests;
