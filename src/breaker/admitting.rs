//! The way in of a call about which the gate cannot decide.

use std::time::Duration;

use crate::{
    error::OpenError,
    protocol::machine::CallId,
    runtime::circuit::Circuit,
    runtime::circuit::message::{Message, Reply},
    runtime::sync::oneshot,
};

/// How long a call waits in all for news of a circuit that is closed and fresh, while
/// its failures say that others may have tripped it.
const PATIENCE_WHILE_FAILING: Duration = Duration::from_millis(100);

/// Asks the actor. The grant comes in the answer, so that an answer to a
/// caller who is gone gives itself back.
///
/// A call that is asked for only because it hurts would be admitted by what is known:
/// it waits for little, and then is. That the answer takes longer than that is no sign
/// of an actor that does not run.
pub(super) async fn ask(circuit: &Circuit) -> Result<CallId, OpenError> {
    if let Some(id) = circuit.take_offered_probe() {
        return Ok(id);
    }
    // One caller that waits for an actor that does not run is enough. What it
    // asked still lies in the mailbox.
    if circuit.is_stalled() {
        return circuit.unanswered();
    }
    let turns = circuit.turns();
    let (reply, answer) = oneshot::channel();
    let is_asked_only_for_failing = circuit.is_asked_only_for_failing();
    let patience = if is_asked_only_for_failing {
        circuit.patience().min(PATIENCE_WHILE_FAILING)
    } else {
        circuit.patience()
    };
    let message = Message::Admit {
        at: circuit.now(),
        reply: Reply::Caller(reply),
        is_failing: circuit.gate.is_failing(),
    };
    let asked = async {
        circuit.mailbox.send_async(message).await.ok()?;
        answer.await.ok()
    };
    let asked = circuit.clock.within_awake(patience, asked).await;
    match asked {
        Some(Some(Ok(permit))) => Ok(permit.into_id()),
        Some(Some(Err(open))) => Err(open),
        // The actor is gone.
        Some(None) => circuit.unanswered(),
        None => {
            if !is_asked_only_for_failing {
                circuit.mark_stalled(turns);
            }
            circuit.unanswered()
        }
    }
}
