//! Requests that look at the process, or change its surroundings.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Process};
use crate::{
    answer::counts,
    args::Settings,
    hands::span,
    request::{ConfigOp, DelayStore, FailStore, LogOp, Named},
};

impl Process {
    /// The item, and what of the process's own knowledge the crate shows.
    pub(super) async fn state(&mut self, op: Named) -> Answer {
        let name = self.name(op.circuit);
        let circuit = self.circuits.get(&name);
        let info = circuit.map(|circuit| circuit.info());
        Ok(json!({
            "circuit_name": name,
            "row": self.rows.show(&name).await?,
            "cache": info.as_ref().map(|info| json!({
                "state": info.state.as_str(),
                "opened_at": info.opened_at,
                "half_open_owner": null,
                "probe_lease_expiry": null,
                "fresh_until": null,
                "fresh": null,
            })),
            "local_failures": circuit.map_or(0, |circuit| circuit.failures()),
            "local_successes": null,
            "last_observed": info.map(|info| info.state.as_str()),
            "now": self.hands.now(),
        }))
    }

    pub(super) fn config(&mut self, op: ConfigOp) -> Answer {
        let name = self.name(op.circuit);
        let old = self.circuits.get(&name).map_or(self.args.settings, |circuit| circuit.settings);
        let new = Settings {
            failure_threshold: op.failure_threshold.unwrap_or(old.failure_threshold),
            recovery_timeout: op.recovery_timeout.unwrap_or(old.recovery_timeout),
            success_threshold: op.success_threshold.unwrap_or(old.success_threshold),
            local_cache_max_age: op.local_cache_max_age.unwrap_or(old.local_cache_max_age),
        };
        self.begin_anew(&name, new)?;
        Ok(json!({
            "circuit_name": name,
            "failure_threshold": new.failure_threshold,
            "recovery_timeout": new.recovery_timeout,
            "success_threshold": new.success_threshold,
            "local_cache_max_age": new.local_cache_max_age,
        }))
    }

    pub(super) fn clear_cache(&mut self, op: Named) -> Answer {
        let name = self.name(op.circuit);
        if let Some(circuit) = self.circuits.get(&name).map(Arc::clone) {
            self.begin_anew(&name, circuit.settings)?;
        }
        Ok(json!({}))
    }

    pub(super) fn fail_store(&mut self, op: FailStore) -> Answer {
        let answer = json!({"ops": op.ops, "code": op.code});
        self.tap.fail(op.ops, &op.code);
        Ok(answer)
    }

    pub(super) fn delay_store(&mut self, op: DelayStore) -> Answer {
        let answer = json!({"ops": op.ops, "seconds": op.seconds});
        self.tap.delay(op.ops, span(op.seconds)?);
        Ok(answer)
    }

    pub(super) fn requests(&mut self, op: &LogOp) -> Value {
        let sent = self.tap.since(0);
        let words = sent.iter().map(|sent| format!("{}:{}", sent.operation, sent.outcome));
        let mut answer = json!({"total": sent.len(), "counts": counts(words)});
        if let (true, Some(fields)) = (op.log, answer.as_object_mut()) {
            let log = sent.iter().map(|sent| {
                json!({"op": sent.operation, "outcome": sent.outcome, "params": sent.params})
            });
            fields.insert("log".to_owned(), log.collect());
        }
        if op.clear {
            self.tap.clear();
        }
        answer
    }

    pub(super) fn transitions(&mut self, op: &LogOp) -> Value {
        for circuit in self.circuits.values() {
            self.made.extend(circuit.drain());
        }
        let answer = json!({"transitions": self.made});
        if op.clear {
            self.made.clear();
        }
        answer
    }

    pub(super) fn owner(&mut self, op: Named) -> Value {
        let name = self.name(op.circuit);
        let attribute = &self.args.names.half_open_owner_attr;
        json!({"owner": self.tap.last_written(&name, attribute)})
    }
}
