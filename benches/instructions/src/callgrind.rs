//! Runs this program under callgrind, and reads what it counted.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::Failed;

/// What counts: instructions, and how many of them lock the bus. Lines of the source tell
/// whose code an inlined instruction is.
pub(crate) const FLAGS: [&str; 3] = ["--tool=callgrind", "--collect-bus=yes", "--dump-line=yes"];

/// What callgrind calls the instructions that lock the bus.
const LOCKED: &str = "Ge";

/// What a whole run took.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Instructions, by whose code they are.
    pub(crate) of_parts: BTreeMap<String, u64>,
    /// Those of all that lock the bus: atomic additions, exchanges, comparisons with an exchange.
    pub(crate) locked: u64,
}

impl Counts {
    /// All instructions.
    pub(crate) fn all(&self) -> u64 {
        self.of_parts.values().fold(0, |all, part| all.saturating_add(*part))
    }
}

/// Counts a run of this program that makes a number of calls on one path.
pub(crate) fn count(path: &str, calls: u64) -> Result<Counts, Failed> {
    let file = env::temp_dir().join(format!("fuseboard-callgrind-{}", std::process::id()));
    let ran = Command::new("valgrind")
        .args(FLAGS)
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args([path, &calls.to_string()])
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind is needed: {error}"))?;
    let counted = fs::read_to_string(&file);
    // It may not have been written.
    let _ = fs::remove_file(&file);
    if !ran.success() {
        return Err(format!("{path} has failed").into());
    }
    sum_up(&counted?).ok_or_else(|| format!("{path}: callgrind did not count {LOCKED}").into())
}

/// What begins a line of callgrind's that names a file: a function's own, one inlined
/// into it, the way back, and a callee's.
const FILE_KEYS: [&str; 5] = ["fl=", "fi=", "fe=", "cfi=", "cfl="];

/// Sums up what callgrind wrote: lines of costs under the file that they are of.
/// A line after `calls=` is what the callee cost, which stands there as well.
fn sum_up(counted: &str) -> Option<Counts> {
    let events = counted.lines().find_map(|line| line.strip_prefix("events: "))?;
    // The place in the source stands first. Zeros at the end of a line are left out.
    let locked_at = events.split(' ').position(|event| event == LOCKED)?.checked_add(1)?;
    let (mut names, mut counts) = (BTreeMap::new(), Counts::default());
    let (mut file, mut is_of_callee) = (String::new(), false);
    for line in counted.lines() {
        // A file is named once, perhaps as the callee's, and has a number from then on.
        let named =
            FILE_KEYS.iter().find_map(|key| line.strip_prefix(key).map(|named| (key, named)));
        if let Some((key, named)) = named {
            let (number, name) = named.split_once(' ').unwrap_or((named, ""));
            let known: &mut String = names.entry(number.to_owned()).or_default();
            if !name.is_empty() {
                *known = part(name);
            }
            if !key.starts_with('c') {
                file.clone_from(known);
            }
        } else if line.starts_with("calls=") {
            is_of_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && !std::mem::take(&mut is_of_callee)
        {
            let at = |place| line.split(' ').nth(place).and_then(|cost| cost.parse().ok());
            let sum: &mut u64 = counts.of_parts.entry(file.clone()).or_default();
            *sum = sum.saturating_add(at(1).unwrap_or(0));
            counts.locked = counts.locked.saturating_add(at(locked_at).unwrap_or(0));
        }
    }
    Some(counts)
}

/// Whose code a file is: one of the crate's own files, or whatever it is made of.
fn part(file: &str) -> String {
    // This package is `benches/instructions` in the crate's folder.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/"));
    match Path::new(file).strip_prefix(own) {
        Ok(own) if own.starts_with("src") => own.display().to_string(),
        Ok(_) => "the loop".to_owned(),
        Err(_) if file.contains("/linux_raw/") => "rustix: the clock".to_owned(),
        Err(_) if file.contains("/arc-swap-") => "arc-swap".to_owned(),
        Err(_) => "the standard library, mostly inlined into these".to_owned(),
    }
}
