//! `hold`, `disable` and `release`: what operators order, through the library.
//!
//! An order ends no hold but the one that it has seen, and tells whose that was: what it tells is
//! the record that its own write has replaced.

mod refusal;

use std::time::Duration;

use fuseboard::{
    CircuitName, Hold, HoldKind, OperatorError,
    store::{Consistency, StoreErrorKind},
};

pub(crate) use self::refusal::{Refusal, holds, until};
use crate::{
    args::HoldArgs,
    circuit::{self, Circuit, Status},
    ending::Ending,
    list, output,
    table::Table,
    text::shown,
    time,
};

/// For how long the end of the registry may take, which has nothing to write.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Holds a circuit, open or closed.
pub(crate) async fn hold(
    table: &Table,
    order: HoldArgs,
    kind: HoldKind,
    is_json: bool,
) -> Result<(), Ending> {
    let name = &order.name;
    if order.by.is_none() {
        return Err(Ending::usage("who holds the circuit? name them with --by: $USER is not set"));
    }
    let held = |hold: &circuit::Hold| {
        let told = holds(name, hold, time::now());
        Ending::failed(format_args!("{told}; nothing was written (--replace ends that hold)"))
    };
    let seen = seen(table, name, order.new).await.map_err(|refusal| offered(refusal, held))?;
    if seen.is_none()
        && !order.any_table
        && let Some(why) = of_another_program(table).await
    {
        return Err(Ending::failed(format_args!("{why} (--any-table holds it all the same)")));
    }
    if let Some(other) = of_somebody_else(seen.as_ref(), order.by.as_deref(), order.replace) {
        return Err(held(&other));
    }
    let done = carry_out(table, name, Some(asked(kind, &order)), seen.as_ref()).await;
    let began = |hold: &circuit::Hold| {
        if order.replace || order.by.as_deref() == hold.by.as_deref() {
            return Ending::Failed(began_since(name, hold, "the same command"));
        }
        held(hold)
    };
    let replaced = done.map_err(|refusal| offered(refusal, began))?;
    tell(table, name, replaced.as_ref(), "", is_json).await
}

/// Checks that a circuit without an item is not written among the items of another program;
/// otherwise says why nothing was.
pub(crate) async fn of_another_program(table: &Table) -> Option<String> {
    let name = &table.name;
    match table.of_others().await {
        Ok(None) => None,
        Ok(Some(key)) => Some(format!(
            "table {name:?} has no circuit among its first items, but those of another program, such as {key:?}; nothing was written: is this the table?"
        )),
        // Who holds by a role of processes may not list.
        Err(error) => {
            let why = shown(&table.explain(&error));
            output::note(&format!("not checked whether table {name:?} has circuits: {why}\n"));
            None
        }
    }
}

/// Reads what an order is about to end; `None` if that is a circuit without an item, which may be
/// new.
pub(crate) async fn seen(
    table: &Table,
    name: &CircuitName,
    may_be_new: bool,
) -> Result<Option<Circuit>, Refusal> {
    if may_be_new && table.read(name, Consistency::Strong).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(table.known(name).await?))
}

/// The hold that stands, if it is not this operator's, and not to be replaced.
pub(crate) fn of_somebody_else(
    seen: Option<&Circuit>,
    by: Option<&str>,
    replaces: bool,
) -> Option<circuit::Hold> {
    let hold = seen?.hold_at(time::now())?;
    (!replaces && (hold.by.is_none() || hold.by.as_deref() != by)).then_some(hold)
}

/// What is said of a hold that no order has seen, and of the command that ends it.
fn began_since(name: &CircuitName, hold: &circuit::Hold, command: &str) -> String {
    let held = holds(name, hold, time::now());
    format!(
        "{held}; nothing was written: that hold began after this command had looked, and {command} ends it"
    )
}

/// The ending of an order to hold that was refused, with the option that would have it done.
fn offered(refusal: Refusal, held: impl Fn(&circuit::Hold) -> Ending) -> Ending {
    match refusal {
        Refusal::Held(hold) => held(&hold),
        Refusal::NoItem(text) => Ending::NotFound(format!("{text} (--new holds it all the same)")),
        Refusal::Ending(ending) => ending,
    }
}

/// The hold of an order. A length counts from when the library is told.
fn asked(kind: HoldKind, order: &HoldArgs) -> Hold {
    let lasts = order.end.lasts.unwrap_or_default();
    let hold = match (kind, order.end.until) {
        (HoldKind::Open, Some(until)) => Hold::open(until),
        (HoldKind::Open, None) => Hold::open_for(lasts),
        (HoldKind::Closed, Some(until)) => Hold::closed(until),
        (HoldKind::Closed, None) => Hold::closed_for(lasts),
    };
    let hold = hold.reason(&order.reason);
    match &order.by {
        Some(by) => hold.by(by),
        None => hold,
    }
}

/// Who releases a circuit, and why. The item keeps neither: what removes a hold removes its texts.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl Released {
    /// The line that is printed.
    fn told(&self) -> String {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        match (said(&self.by), said(&self.reason)) {
            (Some(by), Some(reason)) => {
                format!("released by {}\n", shown(&format!("{by}: {reason}")))
            }
            (Some(by), None) => format!("released by {}\n", shown(&by)),
            (None, Some(reason)) => format!("released: {}\n", shown(&reason)),
            (None, None) => String::new(),
        }
    }
}

/// Closes a circuit.
pub(crate) async fn release(
    table: &Table,
    name: &CircuitName,
    released: &Released,
    is_json: bool,
) -> Result<(), Ending> {
    let seen = table.known(name).await?;
    if seen.status(time::now()) == Status::Closed {
        return nothing_to_release(name, &seen, is_json);
    }
    match carry_out(table, name, None, Some(&seen)).await {
        Ok(Some(replaced)) => tell(table, name, Some(&replaced), &released.told(), is_json).await,
        // Somebody else has closed it in the meantime.
        Ok(None) => nothing_to_release(name, &table.known(name).await?, is_json),
        Err(Refusal::Held(hold)) => {
            let command = format!("`fuseboard release {name}`");
            Err(Ending::Failed(began_since(name, &hold, &command)))
        }
        Err(Refusal::NoItem(text)) => Err(Ending::NotFound(text)),
        Err(Refusal::Ending(ending)) => Err(ending),
    }
}

fn nothing_to_release(name: &CircuitName, circuit: &Circuit, is_json: bool) -> Result<(), Ending> {
    output::note(&format!("{name} is closed: there is nothing to release\n"));
    list::print(circuit, is_json)
}

/// Holds a circuit, or closes it, whatever it is; but a hold that was not seen stays. Returns what
/// the write has replaced; `None` if there was no item, or nothing to write.
pub(crate) async fn carry_out(
    table: &Table,
    name: &CircuitName,
    hold: Option<Hold>,
    seen: Option<&Circuit>,
) -> Result<Option<Circuit>, Refusal> {
    let (registry, breaker) = table.breaker(name)?;
    let seen = seen.map(|circuit| &circuit.record);
    let done = match (hold, seen) {
        (Some(hold), seen) => breaker.hold_seen(hold, seen).await,
        (None, Some(seen)) => breaker.release_seen(seen).await,
        // Without an item it is closed.
        (None, None) => Ok(None),
    };
    // Its circuit has no calls, and so nothing to settle.
    let _ = registry.shutdown(SHUTDOWN).await;
    match done {
        Ok(None) => Ok(None),
        Ok(Some(record)) => Ok(Some(Circuit {
            name: name.as_str().to_owned(),
            key: table.key(name)?.as_str().to_owned(),
            record,
        })),
        Err(OperatorError::Held(hold)) => Err(Refusal::by(&hold)),
        Err(error) => Err(explained(table, name, error).await.into()),
    }
}

/// Says what a circuit is after a command, and what it was before. The command is carried out,
/// whether or not that can be shown: a failure would have a script give it again.
async fn tell(
    table: &Table,
    name: &CircuitName,
    before: Option<&Circuit>,
    more: &str,
    is_json: bool,
) -> Result<(), Ending> {
    let before = before.map(|before| format!("before: {}\n", told(before))).unwrap_or_default();
    output::note(&format!("{before}{more}"));
    let (after, tried) = tokio::join!(table.read(name, Consistency::Strong), table.dry_run(name));
    if let Some(tried) = tried {
        output::note(&format!("{}\n", unread(name, &tried)));
    }
    let shown = match after {
        Ok(Some(after)) => list::print(&after, is_json),
        Ok(None) => Ok(()),
        Err(Ending::Failed(why)) => {
            Err(Ending::Failed(format!("the circuit cannot be read now: {why}")))
        }
        Err(ending) => Err(ending),
    };
    if let Err(ending) = shown {
        let why = ending.text().map(|why| format!("done, but {why}\n"));
        output::note(&why.unwrap_or_default());
    }
    Ok(())
}

/// What is said of an order where processes try the circuit: those admit every call, whatever it
/// would do.
pub(crate) fn unread(name: &CircuitName, tried: &Circuit) -> String {
    let (key, word) = (shown(&tried.key), tried.status(time::now()).word());
    format!(
        "processes that only try {name} out (dry run) do not read this: they go by {key} ({word}), and admit every call"
    )
}

/// What a circuit was: of a hold all of it, so that somebody can give it again.
pub(crate) fn told(circuit: &Circuit) -> String {
    let now = time::now();
    let why = circuit.why(now);
    let why = if why.is_empty() { why } else { format!(" ({why})") };
    let hold = circuit.hold_at(now).filter(|hold| hold.until.is_some());
    let end = hold.map(|hold| format!(", until {}", until(&hold, now)));
    format!("{}{why}{}", circuit.status(now).word(), end.unwrap_or_default())
}

/// The error of a command, with what to do.
async fn explained(table: &Table, name: &CircuitName, error: OperatorError) -> Ending {
    match error {
        OperatorError::Invalid(error) => Ending::usage(error),
        OperatorError::Store(StoreErrorKind::Misconfigured) => {
            // The error has no text: what is wrong is found out now.
            let why = match table.store.verify().await {
                Err(faults) => table.explain_faults(&faults),
                Ok(_) => "`fuseboard verify` finds no fault: try again".to_owned(),
            };
            Ending::failed(format_args!("nothing was written: {why}"))
        }
        OperatorError::Store(_) => Ending::failed(format_args!(
            "the store failed; the command may have been carried out: look with `fuseboard show {name}`, and try again"
        )),
        // Nothing was written, and it says so.
        error @ (OperatorError::Contended | OperatorError::Held(_)) => Ending::failed(error),
        error @ (OperatorError::Replaced | OperatorError::Gone | OperatorError::NoAnswer | _) => {
            let look = format_args!("look with `fuseboard show {name}`, and try again");
            Ending::failed(format_args!("{error}: {look}"))
        }
    }
}
