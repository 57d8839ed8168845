//! What a call may take: the one place of these numbers.

use crate::{
    Call,
    paths::{WITH_RULES, WITH_SLOW},
};

/// By how many instructions a compiler may differ from the one that the counts are of.
const SLACK: u64 = 3;

/// The bounds of one path.
#[derive(Debug)]
pub(crate) struct Bound {
    /// What is called, and is the first argument of a run.
    pub(crate) path: &'static str,
    /// Instructions, counted with Rust 1.95 for x86-64.
    counted: u64,
    /// How many more there may be.
    slack: u64,
    /// Instructions that lock the bus: exact, since no compiler adds one.
    locked: u64,
}

/// The paths with [`SLACK`] are those whose counts README.md and `docs/performance.md` promise. The
/// others may take a tenth more than they did: it is less settled what they are made of.
pub(crate) const BOUNDS: [Bound; 14] = [
    Bound { path: "try_admit", counted: 47, slack: SLACK, locked: 0 },
    Bound { path: "call", counted: 108, slack: SLACK, locked: 0 },
    // Good calls are counted while a failure stands.
    Bound { path: "try_admit, counted", counted: 67, slack: SLACK, locked: 0 },
    // Rules cost a good call nothing while no failure stands: they are held to be the same.
    Bound { path: "try_admit, four rules", counted: 47, slack: SLACK, locked: 0 },
    Bound { path: "call, four rules", counted: 108, slack: SLACK, locked: 0 },
    // So does a limit from which on calls are slow.
    Bound { path: "call, slow calls count", counted: 108, slack: SLACK, locked: 0 },
    // Five of them ask whether the circuit is only tried.
    Bound { path: "rejected, try_admit", counted: 75, slack: SLACK, locked: 0 },
    Bound { path: "rejected, with retry_after", counted: 86, slack: 8, locked: 0 },
    Bound { path: "admit", counted: 125, slack: 12, locked: 0 },
    // The permit keeps the circuit and is a handle of it: both are counted, up and down.
    Bound { path: "admit_owned", counted: 106, slack: 10, locked: 4 },
    // The call holds a share of the layer's breaker: it is counted, up and down.
    Bound { path: "layer", counted: 162, slack: 16, locked: 2 },
    Bound { path: "call_or_else", counted: 120, slack: 12, locked: 0 },
    // ArcSwap notes the snapshot that is read, and takes the note away; the `CircuitInfo`
    // is counted, up and down.
    Bound { path: "rejected, with the CircuitInfo", counted: 163, slack: 15, locked: 4 },
    Bound { path: "rejected, admit", counted: 229, slack: 22, locked: 4 },
];

impl Bound {
    /// The path that takes the same instructions on a circuit with nothing set.
    pub(crate) fn with_nothing_set(&self) -> Option<&'static str> {
        let path = self.path;
        path.strip_suffix(WITH_RULES).or_else(|| path.strip_suffix(WITH_SLOW))
    }

    /// Whether a call keeps to both bounds, and the words that say so.
    pub(crate) fn judge(&self, call: &Call) -> (bool, String) {
        let Self { path, counted, slack, locked } = self;
        let most = counted.saturating_add(*slack);
        // The counts are those of one processor family; what locks is asked of all.
        let is_judged = cfg!(target_arch = "x86_64");
        let few_enough = !is_judged || call.all <= Tenths::of(most);
        let keeps = few_enough && call.locked <= Tenths::of(*locked);
        let word = if keeps { "met    " } else { "MISSED " };
        let bound = if is_judged {
            format!("at most {most} ({counted} and {slack} for other compilers)")
        } else {
            "not judged: the bounds are of x86-64".to_owned()
        };
        let words = format!(
            "{word} {path}: {} instructions, {bound}; {} of them lock the bus, at most {locked}",
            call.all, call.locked
        );
        (keeps, words)
    }
}

/// A number of things for each call, in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tenths(u64);

impl Tenths {
    pub(crate) const HALF: Self = Self(5);

    fn of(whole: u64) -> Self {
        Self(whole.saturating_mul(10))
    }

    /// What each of a number of calls takes that made so great a difference, rounded.
    pub(crate) fn each(difference: u64, calls: u64) -> Self {
        let twice = difference.saturating_mul(20).saturating_add(calls);
        Self(twice.checked_div(calls.saturating_mul(2)).unwrap_or_default())
    }
}

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = self.0.checked_div(10).unwrap_or_default();
        write!(f, "{whole}.{}", self.0.checked_rem(10).unwrap_or_default())
    }
}
