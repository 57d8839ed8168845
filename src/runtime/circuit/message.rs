//! The messages from handles to the actor of a circuit.

use crate::{
    error::OpenError,
    panics::caught,
    protocol::answer::StoreErrorKind,
    protocol::machine::{CallEnd, CallId, CommandResult, Order},
    protocol::moment::Moment,
    runtime::circuit::PendingGuard,
    runtime::circuit::undelivered::UndeliveredPermit,
    runtime::gate::RampShare,
    runtime::sync::oneshot,
};

/// A message to the actor. Each carries the moment of its event, as its sender saw it: a
/// stamp on receipt would be late by the time in the mailbox, or by a freeze.
#[derive(Debug)]
pub(crate) enum Message {
    /// A call asks to be admitted. `is_failing`: two or more failures in a row stood, by the
    /// gate, when it asked.
    Admit { at: Moment, reply: Reply, is_failing: bool },
    /// A probe ended.
    Outcome { at: Moment, call: CallId, end: CallEnd, settle: Option<Settle> },
    /// The holder of a probe is alive.
    KeepAlive { at: Moment, call: CallId },
    /// The cached record nears its maximum age, and there is traffic: read ahead.
    Refresh { at: Moment },
    /// An operator's command. Boxed, so that no other message is as large.
    Command { at: Moment, order: Box<Order>, reply: oneshot::Sender<CommandResult> },
    /// An observer asks for a read of the record.
    Look { at: Moment, reply: oneshot::Sender<LookResult> },
    /// A flush begins. The guard ends when the actor takes this message, and with it all
    /// messages that were sent before.
    Flush(PendingGuard),
    /// A verdict was left at the gate, a trip was counted, or there are new settings: start a turn.
    Wake,
    /// The last handle of the circuit was dropped.
    Released,
}

/// The result of a [`Message::Look`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookResult {
    /// The snapshot shows the record as the store has just shown it.
    Shown,
    /// The store failed.
    Failed(StoreErrorKind),
    /// Nothing was sent: the store is left alone for now.
    BackedOff,
}

/// The addressee of the answer to a [`Message::Admit`].
#[derive(Debug)]
pub(crate) enum Reply {
    /// A caller that waits. The answer carries the permit itself: if the caller has given up,
    /// the permit is dropped with the channel, and a probe's right is given back.
    Caller(oneshot::Sender<Result<UndeliveredPermit, OpenError>>, RampShare),
    /// The next call: the probe is offered at the gate. The call that asked did not wait.
    OfferedProbe,
}

impl Reply {
    /// Returns `true` if the caller has given up.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Caller(reply, _) => reply.is_closed(),
            Self::OfferedProbe => false,
        }
    }
}

/// Signals that an outcome is settled: no write that it caused is outstanding. Until then its
/// guard keeps `flush` waiting.
#[derive(Debug)]
pub(crate) struct Settle {
    recipient: Recipient,
    _pending: PendingGuard,
}

/// The recipient of the signal.
#[derive(Debug)]
enum Recipient {
    None,
    /// The caller of a probe.
    Caller(oneshot::Sender<()>),
    /// All callers that wait for a trip: the end of the guard wakes them.
    Callers {
        _guard: PendingGuard,
    },
}

impl Settle {
    /// Without a caller: only `flush` waits.
    pub(crate) fn unclaimed(pending: PendingGuard) -> Self {
        Self { recipient: Recipient::None, _pending: pending }
    }

    /// For the verdict of a probe.
    pub(crate) fn of_probe(pending: PendingGuard, caller: oneshot::Sender<()>) -> Self {
        Self { recipient: Recipient::Caller(caller), _pending: pending }
    }

    /// For a trip.
    pub(crate) fn of_trip(pending: PendingGuard, guard: PendingGuard) -> Self {
        Self { recipient: Recipient::Callers { _guard: guard }, _pending: pending }
    }

    pub(crate) fn signal(self) {
        match self.recipient {
            // The caller may have given up.
            Recipient::Caller(caller) => {
                caught(|| caller.send(()));
            }
            Recipient::None | Recipient::Callers { .. } => {}
        }
    }
}
