//! What a call takes of instructions: counted, and so the same on a busy machine.
//!
//! `cargo bench -p instructions`, with valgrind at hand. It runs itself under
//! callgrind, twice for each path with different numbers of calls, and shows the
//! difference, by the source file whose code it is (wherever it was inlined), and how
//! many of the instructions lock the bus. The clock counts for next to nothing here, since
//! to valgrind it is a call of the kernel; `cargo bench -p admission` has its time.
//!
//! With `-- --check` it holds each path to its bounds (`bounds.rs`), and exits with 1 if
//! one is broken. The bounds are of a release build without `RUSTFLAGS`.

mod bounds;
mod callgrind;
mod paths;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use self::{
    bounds::{BOUNDS, Tenths},
    callgrind::{Counts, FLAGS},
};

type Failed = Box<dyn Error>;

const FEW: u64 = 1_000;
const MANY: u64 = 101_000;

fn main() -> Result<ExitCode, Failed> {
    let (flags, words): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|word| word.starts_with("--"));
    if let [path, calls] = words.as_slice() {
        paths::run(path, calls.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if flags.iter().any(|flag| flag == "--check") { check() } else { show() }
}

/// What one call takes.
struct Call {
    all: Tenths,
    /// By whose code it is, the most first.
    of_parts: Vec<(Tenths, String)>,
    locked: Tenths,
}

impl Call {
    /// An admission and its success, or a rejection.
    fn on(path: &str) -> Result<Self, Failed> {
        Ok(Self::between(&callgrind::count(path, FEW)?, &callgrind::count(path, MANY)?))
    }

    /// What is the same in both runs is no call's.
    fn between(few: &Counts, many: &Counts) -> Self {
        let each = |few: u64, many: u64| Tenths::each(many.saturating_sub(few), MANY.abs_diff(FEW));
        let mut of_parts: Vec<_> = many
            .of_parts
            .iter()
            .map(|(part, count)| {
                let before = few.of_parts.get(part).copied().unwrap_or_default();
                (each(before, *count), part.clone())
            })
            .filter(|(count, _)| *count >= Tenths::HALF)
            .collect();
        of_parts.sort_by(|one, other| other.cmp(one));
        Self { all: each(few.all(), many.all()), of_parts, locked: each(few.locked, many.locked) }
    }
}

fn show() -> Result<ExitCode, Failed> {
    let mut out = io::stdout().lock();
    writeln!(out, "Instructions of one call (an admission and its success, or a rejection)\n")?;
    for bound in &BOUNDS {
        let Call { all, of_parts, locked } = Call::on(bound.path)?;
        write!(out, "{}: {all}, of which {locked} lock the bus", bound.path)?;
        for (count, part) in of_parts {
            write!(out, "\n    {:>6}  {part}", count.to_string())?;
        }
        writeln!(out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds each path to its bounds.
fn check() -> Result<ExitCode, Failed> {
    let mut out = io::stdout().lock();
    let mut all_met = true;
    let mut counted = BTreeMap::new();
    for bound in &BOUNDS {
        let call = Call::on(bound.path)?;
        let (is_met, words) = bound.judge(&call);
        writeln!(out, "{words}")?;
        all_met &= is_met;
        counted.insert(bound.path, (call.all, call.locked));
    }
    // By the counts of this run, and so on every processor and by every compiler.
    for bound in &BOUNDS {
        let Some(without) = bound.with_nothing_set() else { continue };
        let is_same = counted.get(bound.path) == counted.get(without);
        let word = if is_same { "met    " } else { "MISSED " };
        writeln!(out, "{word} {}: the same instructions as {without}", bound.path)?;
        all_met &= is_same;
    }
    writeln!(out, "{}", by_hand()?)?;
    Ok(if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How the same numbers are had without this program's arithmetic.
fn by_hand() -> Result<String, Failed> {
    let flags = FLAGS.join(" ");
    let program = env::current_exe()?;
    let calls = MANY.abs_diff(FEW);
    Ok(format!(
        "\nBy hand:\n    \
         for calls in {FEW} {MANY}; do\n        \
         valgrind {flags} --callgrind-out-file=counted.$calls {} try_admit $calls\n    \
         done; grep -H totals: counted.{FEW} counted.{MANY}\n\
         The difference between the totals (instructions, and those that lock the bus), divided by \
         {calls}, is one call's. `callgrind_annotate counted.{MANY}` shows them by function.",
        program.display()
    ))
}
