//! What handles tell the actor of a circuit.

use crate::{
    error::OpenError,
    panics::caught,
    protocol::machine::{CallEnd, CallId, Command, CommandResult},
    protocol::moment::Moment,
    runtime::circuit::PendingGuard,
    runtime::sync::oneshot,
    runtime::undelivered::UndeliveredPermit,
};

/// A message to the actor. Each carries the moment at which its sender saw what
/// it tells of: stamping on receipt would be wrong by a mailbox, or by a freeze.
#[derive(Debug)]
pub(crate) enum Message {
    /// A call asks to be admitted; `is_failing` says that two or more failures in a row
    /// stood, as far as the gate knew.
    Admit { at: Moment, reply: Reply, is_failing: bool },
    /// A probe ended.
    Outcome { at: Moment, pass: CallId, report: CallEnd, settle: Option<Settle> },
    /// The holder of a probe is alive.
    KeepAlive { at: Moment, pass: CallId },
    /// Traffic nears the age limit of what is known.
    Refresh { at: Moment },
    /// An operator's order.
    Command { at: Moment, command: Command, reply: oneshot::Sender<CommandResult> },
    /// Somebody waits until nothing is outstanding; the guard stands for what was sent
    /// before this message.
    Flush(PendingGuard),
    /// Something was left at the gate, or a trip was found.
    Wake,
    /// The last handle of the circuit is gone.
    Released,
}

/// Where the answer to an [`Message::Admit`] goes.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a caller that waits. The answer carries the guard itself, so that
    /// one who no longer waits leaks nothing.
    Caller(oneshot::Sender<Result<UndeliveredPermit, OpenError>>),
    /// To nobody in particular: a probe is left at the gate.
    OfferedProbe,
}

impl Reply {
    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Caller(reply) => reply.is_closed(),
            Self::OfferedProbe => false,
        }
    }
}

/// Signals that an outcome is settled: no write that it caused is outstanding.
#[derive(Debug)]
pub(crate) struct Settle {
    told: Told,
    _pending: PendingGuard,
}

/// Who is told.
#[derive(Debug)]
enum Told {
    Nobody,
    /// The caller of a probe.
    Caller(oneshot::Sender<()>),
    /// All who wait for a trip, by the end of what guards it.
    Callers {
        _guard: PendingGuard,
    },
}

impl Settle {
    /// Of what nobody waits for.
    pub(super) fn of_nobody(pending: PendingGuard) -> Self {
        Self { told: Told::Nobody, _pending: pending }
    }

    /// Of the verdict of a probe.
    pub(crate) fn of_caller(pending: PendingGuard, caller: oneshot::Sender<()>) -> Self {
        Self { told: Told::Caller(caller), _pending: pending }
    }

    /// Of a trip.
    pub(crate) fn of_callers(pending: PendingGuard, guard: PendingGuard) -> Self {
        Self { told: Told::Callers { _guard: guard }, _pending: pending }
    }

    pub(super) fn signal(self) {
        match self.told {
            // A caller that went on has no use for it.
            Told::Caller(caller) => {
                caught(|| caller.send(()));
            }
            Told::Nobody | Told::Callers { .. } => {}
        }
    }
}
