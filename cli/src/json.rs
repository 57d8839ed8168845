//! What `--json` prints.

use std::time::SystemTime;

use fuseboard::{
    CircuitState,
    store::{Field, Verified, VerifyError},
};
use serde_json::{Value, json};

use crate::{
    circuit::{Circuit, Status},
    table::Listing,
    text::is_deceptive,
    time::{rfc3339, seconds},
};

/// A circuit: what the record has, and what it means at this time.
pub(crate) fn circuit(circuit: &Circuit, now: SystemTime) -> Value {
    let record = &circuit.record;
    let time = |second: Option<i64>| second.map(rfc3339);
    let hold = circuit.hold().map(|hold| {
        json!({
            "kind": if hold.is_open { "open" } else { "closed" },
            "until": time(hold.until),
            "by": hold.by.as_deref(),
            "reason": hold.reason,
            "is_over": hold.is_over(now),
        })
    });
    let lease_until = record.lease_until.valid().copied();
    let prober = circuit.prober().map(|owner| {
        json!({
            "owner": owner,
            "lease_until": time(lease_until),
            "is_over": lease_until.is_some_and(|until| until <= seconds(now)),
        })
    });
    let status = circuit.status(now);
    json!({
        "name": circuit.name,
        "key": circuit.key,
        "state": record.state.valid().map(|state: &CircuitState| state.as_str()),
        "status": status.word(),
        "is_held": matches!(status, Status::HeldOpen | Status::HeldClosed),
        "since": time(circuit.since(now)),
        "until": time(circuit.until(now)),
        "next_probe": time(record.next_probe_at()),
        "hold": hold,
        "prober": prober,
        "cause": record.cause.valid().map(|cause| &**cause),
        "failure_count": number(&record.failure_count),
        "failed_probes": number(&record.failed_probes),
        "good_probes": number(&record.success_count),
        "opened_at": time(record.opened_at.valid().copied()),
        "released_at": time(record.released.valid().copied()),
        "expires_at": time(record.expires_at.valid().copied()),
        "defect": record.defect(),
    })
}

fn number(field: &Field<u64>) -> Option<u64> {
    field.valid().copied()
}

/// A table.
pub(crate) fn listing<'a>(
    table: &str,
    shown: impl Iterator<Item = &'a Circuit>,
    listing: &Listing,
    now: SystemTime,
) -> Value {
    json!({
        "table": table,
        "circuits": shown.map(|one| circuit(one, now)).collect::<Vec<_>>(),
        "dry_runs": listing.dry_runs.iter().map(|one| circuit(one, now)).collect::<Vec<_>>(),
        "other_items": {
            "votes": listing.votes,
            "foreign": listing.foreign,
            "unnamed": listing.unnamed,
            "of_other_prefixes": listing.of_other_prefixes.len(),
        },
    })
}

/// What `verify` found, and whether the table can be listed, if that was tried, with the key of an
/// item if the first are another program's.
pub(crate) fn verified(
    result: &Result<Verified, VerifyError>,
    listing: Option<&Result<Option<String>, String>>,
) -> Value {
    let (faults, not_checked, unreachable) = match result {
        Ok(verified) => (&[][..], verified.not_checked(), None),
        Err(error) => (error.faults(), error.not_checked(), error.unreachable()),
    };
    json!({
        "ok": result.is_ok(),
        "faults": faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "not_checked": not_checked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unreachable": unreachable.map(ToString::to_string),
        "lists": listing.map(Result::is_ok),
        "why_not": listing.and_then(|listing| listing.as_ref().err()),
        "foreign": listing.and_then(|listing| listing.as_ref().ok()?.as_ref()),
    })
}

/// The text of a value, on several lines.
pub(crate) fn pages(value: &Value) -> String {
    format!("{}\n", escaped(&format!("{value:#}")))
}

/// The text of a value, on one line.
pub(crate) fn line(value: &Value) -> String {
    format!("{}\n", escaped(&value.to_string()))
}

/// JSON whose strings do nothing to a terminal: they are the same strings to whoever reads JSON.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        // The line ends are between the values: in strings they are escaped already.
        if (letter.is_control() && letter != '\n') || is_deceptive(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_do_nothing_to_a_terminal_and_stay_the_same_strings() {
        let value = json!({"a\u{9b}": "x\u{1b}[2J\n\u{7f}\u{202e}\u{e0001}支払"});
        for text in [pages(&value), line(&value)] {
            assert!(
                text.chars().all(|one| !is_deceptive(one) && (one == '\n' || !one.is_control()))
            );
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        assert_eq!(line(&value).lines().count(), 1);
    }
}
