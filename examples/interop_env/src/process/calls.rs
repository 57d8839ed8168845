//! Requests that call the protected function.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    sync::{Barrier, oneshot},
    task::JoinSet,
};

use super::{Answer, Process};
use crate::{
    answer::{Failure, counts, merge},
    call::{self, Act, Finished, Parked, Parking},
    circuit::Circuit,
    hands::span,
    request::{BurstOp, CallOp, EndOp},
};

impl Process {
    pub(super) async fn call(&mut self, op: CallOp) -> Answer {
        span(op.sleep)?;
        let circuit = self.circuit(&self.name(op.circuit.clone()))?;
        let (sent, params) = (self.tap.sent(), op.params);
        let finished = call::run(Arc::clone(&circuit), self.act(op, None)).await;
        let made = self.made_by(&circuit);
        Ok(finished.show(&self.tap.since(sent), params, &made, self.hands.now()))
    }

    pub(super) async fn begin(&mut self, op: CallOp) -> Answer {
        span(op.sleep)?;
        let handle = op.call.as_ref().map(handle);
        let handle = handle.ok_or_else(|| Failure::of("BadRequest", "call: no handle"))?;
        if self.parked.contains_key(&handle) {
            return Err(Failure::of("BadRequest", format!("call {handle:?} is already parked")));
        }
        self.decided.remove(&handle);
        let circuit = self.circuit(&self.name(op.circuit.clone()))?;
        let (before, params) = (self.tap.sent(), op.params);
        let (tell, entered) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let act = self.act(op, Some(Parking { entered: tell, end: ended }));
        let mut task = tokio::spawn(call::run(Arc::clone(&circuit), act));
        let finished = tokio::select! {
            biased;
            Ok(()) = entered => None,
            finished = &mut task => Some(finished),
        };
        let made = self.made_by(&circuit);
        let (sent, now) = (self.tap.since(before), self.hands.now());
        match finished {
            Some(finished) => {
                let finished = joined(finished)?;
                let shown = finished.show(&sent, params, &made, now);
                let more = json!({"call": handle, "entered": finished.ran, "finished": true});
                let answer = merge(shown, more);
                self.decided.insert(handle, answer.clone());
                Ok(answer)
            }
            None => {
                let parked = Parked { circuit, task, end, params, sent, made };
                self.parked.insert(handle.clone(), parked);
                Ok(json!({
                    "call": handle, "entered": true, "finished": false,
                    "ran": true, "rejected": false, "now": now,
                }))
            }
        }
    }

    pub(super) async fn end(&mut self, op: EndOp) -> Answer {
        let handle = handle(&op.call);
        if let Some(answer) = self.decided.remove(&handle) {
            return Ok(answer);
        }
        let parked = self.parked.remove(&handle);
        let Some(Parked { circuit, task, end, params, mut sent, mut made }) = parked else {
            return Err(Failure::of("BadRequest", format!("no call {handle:?} is parked")));
        };
        let before = self.tap.sent();
        // A call that ended by itself shows so in the next line.
        let _ = end.send(op.outcome);
        let finished = joined(task.await)?;
        sent.extend(self.tap.since(before));
        made.extend(self.made_by(&circuit));
        let shown = finished.show(&sent, params, &made, self.hands.now());
        Ok(merge(shown, json!({ "call": handle })))
    }

    pub(super) async fn burst(&mut self, op: BurstOp) -> Answer {
        span(op.each.sleep)?;
        let circuit = self.circuit(&self.name(op.each.circuit.clone()))?;
        let before = self.tap.sent();
        let start = Arc::new(Barrier::new(op.n));
        let mut calls = JoinSet::new();
        for _ in 0..op.n {
            let (circuit, start) = (Arc::clone(&circuit), Arc::clone(&start));
            let act = self.act(op.each.clone(), None);
            calls.spawn(async move {
                start.wait().await;
                call::run(circuit, act).await
            });
        }
        let mut finished = Vec::new();
        while let Some(call) = calls.join_next().await {
            finished.push(joined(call)?);
        }
        let sent = self.tap.since(before);
        let requests = sent.iter().map(|sent| format!("{}:{}", sent.operation, sent.outcome));
        Ok(json!({
            "n": op.n,
            "results": counts(finished.iter().map(|call| call.result.to_owned())),
            "ran": finished.iter().filter(|call| call.ran).count(),
            "requests": counts(requests),
            "transitions": self.made_by(&circuit),
            "now": self.hands.now(),
        }))
    }

    fn act(&self, op: CallOp, parking: Option<Parking>) -> Act {
        Act { op, fallback: self.args.callback, hands: Arc::clone(&self.hands), parking }
    }

    /// The transitions that a circuit has made, which are on record from now on.
    fn made_by(&mut self, circuit: &Circuit) -> Vec<Value> {
        let made = circuit.drain();
        self.made.extend(made.iter().cloned());
        made
    }
}

fn handle(call: &Value) -> String {
    call.as_str().map_or_else(|| call.to_string(), str::to_owned)
}

fn joined(call: Result<Finished, tokio::task::JoinError>) -> Result<Finished, Failure> {
    call.map_err(|error| Failure::of("CallLost", error))
}
