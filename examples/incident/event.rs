//! What happens in a run, as the environments tell it.

use std::time::Duration;

use fuseboard::{Cause, CircuitState, Origin};

/// How a call ended; ordered by what matters most at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Admitted, and the dependency answered.
    Answered,
    /// Rejected by the circuit; the dependency was spared.
    Rejected,
    /// Admitted, and the dependency failed.
    Failed,
    /// A probe that failed.
    ProbeFailed,
    /// A probe that was answered.
    ProbeAnswered,
}

impl Ending {
    pub(crate) const ALL: [Self; 5] =
        [Self::Answered, Self::Failed, Self::Rejected, Self::ProbeFailed, Self::ProbeAnswered];

    pub(crate) const fn glyph(self) -> char {
        match self {
            Self::Answered => '.',
            Self::Rejected => '-',
            Self::Failed => 'x',
            Self::ProbeFailed => 'p',
            Self::ProbeAnswered => 'P',
        }
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Answered => "admitted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::ProbeFailed => "probe failed",
            Self::ProbeAnswered => "probe answered",
        }
    }

    pub(crate) const fn is_probe(self) -> bool {
        matches!(self, Self::ProbeFailed | Self::ProbeAnswered)
    }
}

/// One call that an environment wanted to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) environment: usize,
    /// When the environment wanted to make it.
    pub(crate) offered_at: Duration,
    /// When its end was known.
    pub(crate) ended_at: Duration,
    pub(crate) ending: Ending,
}

/// A transition, as the registry of one environment broadcast it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    pub(crate) environment: usize,
    pub(crate) at: Duration,
    pub(crate) from: CircuitState,
    pub(crate) to: CircuitState,
    pub(crate) cause: &'static str,
    pub(crate) origin: Origin,
}

/// Anything that an environment tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Call(Call),
    Announced(Announced),
    /// So many transitions were broadcast faster than they were received.
    Lost(u64),
}

pub(crate) const fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::FailureThreshold => "failure threshold",
        Cause::RecoveryTimeout => "recovery timeout",
        Cause::TakeOver { .. } => "take-over",
        Cause::ProbesSucceeded => "probes succeeded",
        Cause::ProbeFailed => "probe failed",
        Cause::Hold => "hold",
        Cause::Release => "release",
        Cause::HoldEnded => "hold ended",
        Cause::RecordGone => "record gone",
        Cause::StoreUnreadable => "store unreadable",
        Cause::Elsewhere => "elsewhere",
        Cause::Forgotten => "forgotten",
        Cause::Refuted => "refuted",
        Cause::Rule(_) => "rule",
        Cause::OpenFor => "asked to wait",
        Cause::WouldOpen => "would open",
        _ => "unknown",
    }
}

pub(crate) const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "local",
        Origin::WithoutStore => "without store",
        Origin::Observed => "observed",
    }
}
