//! What a dependency goes through.

use std::time::Duration;

use fastrand::Rng;

/// How a dependency answers over time. The figures are parts of a thousand of the calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weather {
    /// As ever: so many calls fail for reasons of their own.
    Background(u32),
    /// From `from` on for `lasting`, so many calls fail; before and after it, `else_failing`.
    Spell { failing: u32, else_failing: u32, from: Duration, lasting: Duration },
    /// So many calls in a row fail, from `from` on.
    Burst { calls: u32, from: Duration },
}

impl Weather {
    /// When the trouble begins.
    pub(crate) fn begins_at(self) -> Duration {
        match self {
            Self::Background(_) => Duration::ZERO,
            Self::Spell { from, .. } | Self::Burst { from, .. } => from,
        }
    }

    /// Whether the call that comes at this time is answered well. `failed` calls have reached
    /// the dependency since its trouble began.
    pub(crate) fn is_good(self, at: Duration, failed: u32, random: &mut Rng) -> bool {
        let failing = match self {
            Self::Background(failing) => failing,
            Self::Spell { failing, else_failing, from, lasting } => {
                if at >= from && at < from.saturating_add(lasting) { failing } else { else_failing }
            }
            Self::Burst { calls, from } => {
                if at >= from && failed < calls {
                    1_000
                } else {
                    0
                }
            }
        };
        random.u32(..1_000) >= failing
    }
}
