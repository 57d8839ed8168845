//! Where the instructions of a call go. Counted, and so the same on a busy machine.
//!
//! `cargo bench --bench instructions`, with valgrind at hand. It runs itself under
//! callgrind, twice for each path with different numbers of calls, and shows the
//! difference, by the source file whose code it is (wherever it was inlined). The
//! clock counts for next to nothing here, since to valgrind it is a call of the kernel;
//! `cargo bench --bench admission` has its time.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    hint::black_box,
    io::{self, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use fuseboard::{Breaker, BreakerRegistry, Config, MemoryStore};
use futures::executor::block_on;

type Failed = Box<dyn Error>;

const PATHS: [&str; 8] = [
    "try_admit",
    "admit",
    "admit_owned",
    "call",
    "call_or_else",
    "rejected, try_admit",
    "rejected, with the CircuitInfo",
    "rejected, admit",
];
const FEW: u64 = 1_000;
const MANY: u64 = 101_000;
const DAY: Duration = Duration::from_secs(86_400);

fn main() -> Result<(), Failed> {
    let words: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [path, calls] = words.as_slice() {
        return run(path, calls.parse()?);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "Instructions of one call (an admission and its success, or a rejection)\n")?;
    for path in PATHS {
        let (few, many) = (count(path, FEW)?, count(path, MANY)?);
        let calls = MANY.abs_diff(FEW);
        // In tenths, rounded.
        let of = |file: &str, most: u64| {
            let more = most.saturating_sub(few.get(file).copied().unwrap_or_default());
            more.saturating_mul(20).saturating_add(calls).checked_div(calls.saturating_mul(2))
        };
        let mut parts: Vec<_> = many
            .iter()
            .filter_map(|(file, most)| Some((of(file, *most)?, file)))
            .filter(|(tenths, _)| *tenths >= 5)
            .collect();
        parts.sort_by(|one, other| other.cmp(one));
        let all = parts.iter().fold(0, |all: u64, (tenths, _)| all.saturating_add(*tenths));
        write!(out, "{path}: {}", tenths(all))?;
        for (part, file) in parts {
            write!(out, "\n    {:>6}  {file}", tenths(part))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn tenths(number: u64) -> String {
    let whole = number.checked_div(10).unwrap_or_default();
    format!("{whole}.{}", number.checked_rem(10).unwrap_or_default())
}

/// All instructions of a run, by whose code they are.
fn count(path: &str, calls: u64) -> Result<BTreeMap<String, u64>, Failed> {
    let file = env::temp_dir().join(format!("fuseboard-callgrind-{}", std::process::id()));
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-line=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args([path, &calls.to_string()])
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind is needed: {error}"))?;
    let counted = fs::read_to_string(&file);
    // It may not have been written.
    let _ = fs::remove_file(&file);
    if ran.success() { Ok(by_part(&counted?)) } else { Err(format!("{path} has failed").into()) }
}

/// What begins a line of callgrind's that names a file: a function's own, one inlined
/// into it, the way back, and a callee's.
const FILE_KEYS: [&str; 5] = ["fl=", "fi=", "fe=", "cfi=", "cfl="];

/// Sums up what callgrind wrote: lines of costs under the file that they are of.
/// A line after `calls=` is what the callee cost, which stands there as well.
fn by_part(counted: &str) -> BTreeMap<String, u64> {
    let (mut names, mut costs) = (BTreeMap::new(), BTreeMap::new());
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
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            if !std::mem::take(&mut is_of_callee) {
                let sum: &mut u64 = costs.entry(file.clone()).or_default();
                *sum = sum.saturating_add(cost.unwrap_or(0));
            }
        }
    }
    costs
}

/// Whose code a file is: one of the crate's own files, or whatever it is made of.
fn part(file: &str) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    match Path::new(file).strip_prefix(own) {
        Ok(own) if own.starts_with("src") => own.display().to_string(),
        Ok(_) => "the loop".to_owned(),
        Err(_) if file.contains("/linux_raw/") => "rustix: the clock".to_owned(),
        Err(_) if file.contains("/arc-swap-") => "arc-swap".to_owned(),
        Err(_) => "the standard library, mostly inlined into these".to_owned(),
    }
}

/// So many calls on one path.
fn run(path: &str, calls: u64) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_registry, closed, open) = runtime.block_on(circuits())?;
    // From here on nothing runs but what is counted.
    match path {
        "try_admit" => calling(calls, || closed.try_admit().map(|permit| permit.success()).is_ok()),
        "rejected, try_admit" => {
            calling(calls, || open.try_admit().map_err(|open| open.retry_after()).is_err());
        }
        "rejected, with the CircuitInfo" => {
            calling(calls, || open.try_admit().map_err(|open| open.circuit()).is_err());
        }
        _ => block_on(awaiting(path, calls, &closed, &open)),
    }
    Ok(())
}

#[inline(never)]
fn calling<T>(calls: u64, call: impl Fn() -> T) {
    for _ in 0..calls {
        black_box(call());
    }
}

/// Each path in a loop within one future, as callers have it.
async fn awaiting(path: &str, calls: u64, closed: &Breaker, open: &Breaker) {
    macro_rules! repeat {
        ($call:expr) => {
            for _ in 0..calls {
                let _ = black_box($call);
            }
        };
    }
    match path {
        "admit" => repeat!(closed.admit().await.map(|permit| permit.success()).is_ok()),
        "admit_owned" => repeat!(closed.admit_owned().await.map(|permit| permit.success()).is_ok()),
        "call" => repeat!(closed.call(|| async { Ok::<_, ()>(black_box(7)) }).await),
        "call_or_else" => repeat!(
            closed.call_or_else(|| async { Ok::<_, ()>(black_box(7)) }, |_| async { Ok(8) }).await
        ),
        _ => repeat!(open.admit().await.is_err()),
    }
}

/// A closed circuit and an open one, which stay so.
async fn circuits() -> Result<(BreakerRegistry, Breaker, Breaker), Failed> {
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
    let config = Config::builder()
        .failure_threshold(1)
        .recovery_timeout(DAY)
        .local_cache_max_age(DAY)
        .build()?;
    let (closed, open) =
        (registry.breaker_with("closed", config.clone())?, registry.breaker_with("open", config)?);
    for breaker in [&closed, &open] {
        breaker.admit().await?.success().settled().await;
    }
    open.admit().await?.failure().settled().await;
    Ok((registry, closed, open))
}
