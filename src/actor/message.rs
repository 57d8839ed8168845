//! What handles tell the actor of a circuit.

use crate::{
    circuit::PendingGuard,
    error::OpenError,
    grant::Grant,
    machine::{Order, Ordered, Pass, Report},
    moment::Moment,
    panics::caught,
    sync::oneshot,
};

/// A message to the actor. Each carries the moment at which its sender saw what
/// it tells of: stamping on receipt would be wrong by a mailbox, or by a freeze.
#[derive(Debug)]
pub(crate) enum Message {
    /// A call asks to be admitted.
    Admit { at: Moment, reply: Reply },
    /// A call ended.
    Outcome { at: Moment, pass: Pass, report: Report, settle: Option<Settle> },
    /// The holder of a probe is alive.
    KeepAlive { at: Moment, pass: Pass },
    /// Traffic nears the age limit of what is known.
    Refresh { at: Moment },
    /// An operator's order.
    Order { at: Moment, order: Order, reply: oneshot::Sender<Ordered> },
    /// Somebody waits until nothing is outstanding; the guard stands for what was sent
    /// before this message.
    Flush(PendingGuard),
    /// Something was left at the gate.
    Wake,
    /// The last handle of the circuit is gone.
    Released,
}

/// Where the answer to an [`Message::Admit`] goes.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a caller that waits. The answer carries the guard itself, so that
    /// one who no longer waits leaks nothing.
    Caller(oneshot::Sender<Result<Grant, OpenError>>),
    /// To nobody in particular: a probe is left at the gate.
    Spare,
}

impl Reply {
    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Caller(reply) => reply.is_closed(),
            Self::Spare => false,
        }
    }
}

/// Signals that an outcome is settled: no write that it caused is outstanding.
#[derive(Debug)]
pub(crate) struct Settle {
    /// Whoever waits, if anybody can.
    pub(crate) done: Option<oneshot::Sender<()>>,
    pub(crate) _pending: PendingGuard,
}

impl Settle {
    pub(super) fn signal(self) {
        if let Some(done) = self.done {
            // A caller that went on has no use for it.
            caught(|| done.send(()));
        }
    }
}
