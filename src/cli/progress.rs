//! `-p`: how far a job is, on standard output, in the real tool's form.

use std::sync::Mutex;

use super::output;
use crate::job::progress::Progress;

/// Prints `    (12.50/100%)` over itself.
pub struct Printer {
    on: bool,
    /// Percent that have to pass until the next line.
    step: f64,
    shown: Mutex<f64>,
}

impl Printer {
    /// A printer that says 0 now, or nothing ever.
    pub fn start(on: bool, step: f64) -> Self {
        let printer = Self::waiting(on, step);
        printer.begin();
        printer
    }

    /// A printer that says nothing yet; its line ends even when it never begins.
    pub fn waiting(on: bool, step: f64) -> Self {
        Self {
            on,
            step,
            shown: Mutex::new(0.0),
        }
    }

    /// Says 0.
    pub fn begin(&self) {
        self.print(0.0);
    }

    /// How far a job of several phases is. What is known of the whole grows with each: percents may fall.
    pub fn report_phase(&self, done: u64, total: u64) {
        if total == 0 {
            return;
        }
        let percent = percent(done, total);
        let Ok(mut shown) = self.shown.lock() else {
            return;
        };
        let bound = *shown;
        let falls = percent < bound;
        if falls || percent > bound + self.step || done == 0 || done == total {
            *shown = percent;
            self.print(percent);
        }
    }

    /// All is done.
    pub fn finish(&self) {
        self.print(100.0);
    }

    fn print(&self, percent: f64) {
        if self.on {
            output::print_now(&format!("    ({percent:3.2}/100%)\r"));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn percent(done: u64, total: u64) -> f64 {
    100.0 * done as f64 / total as f64
}

impl Progress for Printer {
    fn report(&self, done: u64, total: u64) {
        if total == 0 {
            return;
        }
        let percent = percent(done, total);
        let Ok(mut shown) = self.shown.lock() else {
            return;
        };
        if percent > *shown + self.step || done == 0 || done == total {
            *shown = percent;
            self.print(percent);
        }
    }

    fn wanted(&self) -> bool {
        self.on
    }
}

impl Drop for Printer {
    /// The line ends however the job ended, behind what is still to be said of that.
    fn drop(&mut self) {
        if self.on {
            output::end_line_later();
        }
    }
}
