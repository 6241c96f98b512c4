//! The driver against the real tools. Against a flat vector it is tested from outside: `iotests/model.rs`.

mod crash;
mod crash_states;
mod injected;
mod iv;
mod iv_jobs;
mod key_slots;
mod parallel;
mod same_layout;
mod snapshot_crash;

/// A small generator: a failure prints its seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// The first seed and how many: `COWPROOF_SEED` and `COWPROOF_CASES` widen a search.
fn seeds(count: u64) -> (u64, u64) {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    (number("COWPROOF_SEED", 1), number("COWPROOF_CASES", count))
}
