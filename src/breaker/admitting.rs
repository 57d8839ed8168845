//! A call's way in: past the gate, or by asking the actor.

use std::time::Duration;

use crate::{
    actor::message::{Message, Reply},
    circuit::Circuit,
    error::OpenError,
    gate::Glance,
    machine::Pass,
    sync::oneshot,
};

/// What is known at once of a call that did not simply pass the gate.
pub(super) enum Way {
    /// It is admitted all the same.
    Admit { epoch: u64 },
    /// It is rejected.
    Reject(OpenError),
    /// The actor has to be asked.
    Ask,
}

/// Considers a call that did not simply pass the gate.
pub(super) fn consider(circuit: &Circuit, now_ms: u64) -> Way {
    match circuit.glance(now_ms) {
        Glance::Admit { epoch, .. } => Way::Admit { epoch },
        Glance::Reject { retry_after_ms } => {
            Way::Reject(circuit.open_error(Duration::from_millis(retry_after_ms)))
        }
        Glance::Ask => Way::Ask,
    }
}

/// Asks the actor. The grant comes in the answer, so that an answer to a
/// caller who is gone gives itself back.
pub(super) async fn ask(circuit: &Circuit) -> Result<Pass, OpenError> {
    if let Some(pass) = circuit.take_spare() {
        return Ok(pass);
    }
    // One caller that waits for an actor that does not run is enough. What it
    // asked still lies in the mailbox.
    if circuit.is_deaf() {
        return circuit.unanswered();
    }
    let turns = circuit.turns();
    let (reply, answer) = oneshot::channel();
    let message = Message::Admit { at: circuit.now(), reply: Reply::Caller(reply) };
    let asked = async {
        circuit.mailbox.send_async(message).await.ok()?;
        answer.await.ok()
    };
    let asked = circuit.clock.within_awake(circuit.patience(), asked).await;
    match asked {
        Some(Some(Ok(grant))) => Ok(grant.into_pass()),
        Some(Some(Err(open))) => Err(open),
        // The actor is gone.
        Some(None) => circuit.unanswered(),
        None => {
            circuit.found_deaf(turns);
            circuit.unanswered()
        }
    }
}
