//! One protected call, from its admission to its end.

use std::{
    future::{Future, pending},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use fuseboard::CircuitInfo;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{self, merge},
    circuit::{Circuit, Fault},
    hands::{Hands, span},
    request::{CallOp, Ending},
    wiretap::Sent,
};

/// What the protected function does.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) op: CallOp,
    pub(crate) fallback: bool,
    pub(crate) hands: Arc<Hands>,
    /// Told when the function is entered; it then waits for the end.
    pub(crate) parking: Option<Parking>,
}

/// The function's side of a parked call.
#[derive(Debug)]
pub(crate) struct Parking {
    pub(crate) entered: oneshot::Sender<()>,
    pub(crate) end: oneshot::Receiver<Option<Ending>>,
}

/// A call whose function was entered and waits.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) circuit: Arc<Circuit>,
    pub(crate) task: JoinHandle<Finished>,
    pub(crate) end: oneshot::Sender<Option<Ending>>,
    pub(crate) params: bool,
    /// What it had sent and brought about when it parked.
    pub(crate) sent: Vec<Sent>,
    pub(crate) made: Vec<Value>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) result: &'static str,
    pub(crate) ran: bool,
    rejected_by: Option<CircuitInfo>,
    fallback: bool,
    elapsed_ms: f64,
}

/// Runs a call and waits for what it causes.
pub(crate) async fn run(circuit: Arc<Circuit>, act: Act) -> Finished {
    let started = Instant::now();
    let ran = Arc::new(AtomicBool::new(false));
    let cancelled = CancellationToken::new();
    let fallback = act.fallback;
    let function = || function(&circuit, act, &ran, &cancelled);
    let ended = until(&cancelled, circuit.call(fallback, function)).await;
    let (result, counted, rejected_by) = match ended {
        None => ("cancelled", None, None),
        Some(Ok(())) => ("ok", Some(false), None),
        Some(Err(Fault::Counted)) => ("fail", Some(true), None),
        Some(Err(Fault::Ignored)) => ("ignored", None, None),
        Some(Err(Fault::Throttled(_))) => ("open_for", Some(true), None),
        Some(Err(Fault::Rejected(circuit))) => ("rejected", None, Some(circuit)),
    };
    circuit.note(counted);
    circuit.settle().await;
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    Finished { result, ran: ran.load(Ordering::SeqCst), rejected_by, fallback, elapsed_ms }
}

/// Drops a call when it is cancelled.
async fn until<T>(cancelled: &CancellationToken, call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        ended = call => Some(ended),
        () = cancelled.cancelled() => None,
    }
}

/// The protected function.
async fn function(
    circuit: &Circuit,
    act: Act,
    ran: &AtomicBool,
    cancelled: &CancellationToken,
) -> Result<(), Fault> {
    ran.store(true, Ordering::SeqCst);
    circuit.count_owed().await;
    let mut ending = act.op.outcome;
    if let Some(Parking { entered, end }) = act.parking {
        // Whoever began the call may be gone.
        let _ = entered.send(());
        ending = end.await.ok().flatten().unwrap_or(ending);
    }
    if let Ok(time) = span(act.op.sleep) {
        tokio::time::sleep(time).await;
    }
    // A time to pass that is none does not.
    let _ = act.hands.advance(act.op.advance);
    match ending {
        Ending::Ok => Ok(()),
        Ending::Fail => Err(Fault::Counted),
        Ending::Ignored => Err(Fault::Ignored),
        Ending::OpenFor => {
            // No time at all is the shortest one.
            Err(Fault::Throttled(span(act.op.open_for).unwrap_or_default()))
        }
        Ending::Cancel => {
            cancelled.cancel();
            pending().await
        }
    }
}

impl Finished {
    /// The answer to the request that ended it.
    pub(crate) fn show(&self, sent: &[Sent], params: bool, made: &[Value], now: f64) -> Value {
        let requests = sent.iter().map(|request| {
            let shown = json!({"op": request.operation, "outcome": request.outcome});
            if params { merge(shown, json!({"params": request.params})) } else { shown }
        });
        let fields = json!({
            "result": self.result,
            "ran": self.ran,
            "rejected": self.rejected_by.is_some(),
            "error": null,
            "transitions": made,
            "requests": requests.collect::<Vec<_>>(),
            "elapsed_ms": (self.elapsed_ms * 10.0).round() / 10.0,
            "now": now,
        });
        match &self.rejected_by {
            Some(circuit) if self.fallback => {
                merge(fields, json!({"circuit": answer::circuit(circuit), "callback": true}))
            }
            Some(circuit) => merge(fields, json!({"circuit": answer::circuit(circuit)})),
            None => fields,
        }
    }
}
