//! Random cases: any combination that the formats allow, any history, in all three ways, with long-lived tools.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::history::{self, Random};
use crate::matrix::{self, Case, Row};
use crate::pipe::Pipe;
use crate::play::{Image, Room, open_options};
use crate::support::Tools;

/// Rows among which the one that covers most is taken.
const CANDIDATES: usize = 8;
/// Disks up to this length are read whole.
const WHOLE_MAX: u64 = 1 << 21;
/// Bytes around a command's ends that are read of longer ones.
const AROUND: u64 = 2048;

/// A way to play a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    TheyWrite,
    WeWrite,
    Turns,
}

const WAYS: [Way; 3] = [Way::TheyWrite, Way::WeWrite, Way::Turns];

/// One pair of tools with its long-lived `qemu-io`.
struct Player<'a> {
    tools: &'a Tools,
    pipe: Pipe,
}

impl<'a> Player<'a> {
    fn start(tools: &'a Tools) -> Result<Self, String> {
        Ok(Self {
            tools,
            pipe: Pipe::start(tools)?,
        })
    }
}

/// The cases of a seed and which pairs of levels they have.
pub struct Cases {
    pub list: Vec<Case>,
    pub pairs: usize,
    pub possible_pairs: usize,
}

/// `count` random rows of the matrix, each the best of a few.
pub fn cases(seed: u64, count: usize) -> Cases {
    let mut random = Random::new(seed);
    let rows = matrix::possible_rows();
    let possible: BTreeSet<_> = rows.iter().flat_map(matrix::pairs).collect();
    let mut covered = BTreeSet::new();
    let list = (0..count)
        .map(|_| {
            let any = |random: &mut Random| -> &Row {
                let index = random.below(rows.len() as u64);
                &rows[usize::try_from(index).expect("an index")]
            };
            let candidates: Vec<&Row> = (0..CANDIDATES).map(|_| any(&mut random)).collect();
            let gain = |row: &&Row| {
                matrix::pairs(row)
                    .filter(|pair| !covered.contains(pair))
                    .count()
            };
            let best = *candidates.iter().max_by_key(|row| gain(row)).expect("one");
            covered.extend(matrix::pairs(best));
            Case::from_row(best)
        })
        .collect();
    Cases {
        list,
        pairs: covered.len(),
        possible_pairs: possible.len(),
    }
}

/// Plays the cases; the list of failures.
pub fn run(
    cases: &[Case],
    seed: u64,
    only: Option<u64>,
    ours: &Tools,
    theirs: &Tools,
) -> Vec<String> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || -> Result<(), String> {
        let mut players = [Player::start(ours)?, Player::start(theirs)?];
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(case) = cases.get(index) else {
                return Ok(());
            };
            if only.is_some_and(|only| only != index as u64) {
                continue;
            }
            let seed = seed.wrapping_add(index as u64);
            if let Err(why) = judge(case, seed, &mut players) {
                let sessions = history::sessions(case, seed);
                let failure = format!("case {index} {case}\n  {why}\n  {sessions:?}");
                failures.lock().expect("no panic").push(failure);
                // What was left open is gone with the process.
                players = [Player::start(ours)?, Player::start(theirs)?];
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                if let Err(why) = work() {
                    failures.lock().expect("no panic").push(why);
                }
            });
        }
    });
    failures.into_inner().expect("no panic")
}

/// All three ways must say and hold the same, whoever reads.
fn judge(case: &Case, seed: u64, players: &mut [Player; 2]) -> Result<(), String> {
    let room = Room::new();
    let sessions = history::sessions(case, seed);
    let windows = windows(case, &sessions);
    let mut reference: Option<[String; 2]> = None;
    for way in WAYS {
        let at = |why: String| format!("{way:?}: {why}");
        let (image, said) = play(way, &room, case, &sessions, players).map_err(at)?;
        for reader in 0..2 {
            let name = ["us", "them"][reader];
            let read = read(&image, case, &windows, &mut players[reader]).map_err(at)?;
            let seen = [said.clone(), read];
            let first = reference.get_or_insert_with(|| seen.clone());
            for (what, (a, b)) in ["answers", "bytes"].iter().zip(first.iter().zip(&seen)) {
                if a != b {
                    let (a, b) = crate::first_difference(a, b);
                    return Err(at(format!(
                        "{what} read by {name} differ\n  first: …{a}\n  here:  …{b}"
                    )));
                }
            }
        }
        if case.snapshots > 0 {
            let seen = room.contents(&image, case, players[0].tools).map_err(at)?;
            let theirs = room.contents(&image, case, players[1].tools).map_err(at)?;
            if let Some(difference) = seen.difference(&theirs) {
                return Err(at(difference));
            }
        }
        for player in players.iter() {
            Room::check_is_clean(&image, case, player.tools).map_err(at)?;
        }
    }
    Ok(())
}

/// Makes the image and plays the history; what the tools answered.
fn play(
    way: Way,
    room: &Room,
    case: &Case,
    sessions: &[Vec<String>],
    players: &mut [Player; 2],
) -> Result<(Image, String), String> {
    let turn = |number: usize| match way {
        Way::WeWrite => 0,
        Way::TheyWrite => 1,
        Way::Turns => number % 2,
    };
    // A LUKS header costs the real tool seconds, and the fixed matrix has it make some.
    let creator = if case.is_luks() { 0 } else { turn(0) };
    let image = room.create(&format!("{way:?}"), case, players[creator].tools)?;
    let opened = open_options(&image, case);
    let mut said = String::new();
    for (number, session) in sessions.iter().enumerate() {
        let player = &mut players[turn(number)];
        if (1..=case.snapshots).contains(&number) {
            Room::take_snapshot(number, &opened, player.tools)?;
        }
        player.pipe.must(&format!("open -d unmap -o {opened}"))?;
        for line in session {
            said += &player.pipe.must(line)?;
        }
        player.pipe.must("close")?;
    }
    Ok((image, said))
}

/// Where to read: everything, or what the commands touched, and a little around.
fn windows(case: &Case, sessions: &[Vec<String>]) -> Vec<(u64, u64)> {
    let size = case.size();
    if size <= WHOLE_MAX {
        let step = 1 << 18;
        let pieces = (0..size).step_by(step);
        return pieces
            .map(|offset| (offset, (size - offset).min(step as u64)))
            .collect();
    }
    let mut windows = BTreeSet::new();
    for line in sessions.iter().flatten() {
        let mut words = line.rsplit(' ').map_while(|word| word.parse::<u64>().ok());
        let (Some(length), Some(offset)) = (words.next(), words.next()) else {
            continue;
        };
        for edge in [offset, offset + length] {
            let start = edge.saturating_sub(AROUND).min(size - 1) & !511;
            windows.insert((start, (2 * AROUND).min(size - start)));
        }
    }
    windows.into_iter().collect()
}

/// The disk as a reader shows it, with its map.
fn read(
    image: &Image,
    case: &Case,
    windows: &[(u64, u64)],
    reader: &mut Player,
) -> Result<String, String> {
    let opened = open_options(image, case);
    reader.pipe.must(&format!("open -r -o {opened}"))?;
    let mut seen = reader.pipe.must("length")?;
    seen += &reader.pipe.must("map")?;
    for (offset, length) in windows {
        seen += &reader.pipe.must(&format!("read -v {offset} {length}"))?;
    }
    reader.pipe.must("close")?;
    Ok(seen)
}
