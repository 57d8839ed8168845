//! `hold`, `disable` and `release`: what operators order, through the library.

use std::time::Duration;

use fuseboard::{
    CircuitName, Hold, HoldKind, OperatorError,
    store::{Consistency, StoreErrorKind},
};

use crate::{
    args::HoldArgs,
    circuit::{Circuit, Status},
    ending::Ending,
    list, output,
    table::Table,
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
    let before = if order.new && table.read(name, Consistency::Strong).await?.is_none() {
        None
    } else {
        Some(table.known(name).await.map_err(offer_new)?)
    };
    carry_out(table, name, Some(asked(kind, &order))).await?;
    tell(table, name, before.as_ref(), is_json).await
}

/// Names the option that holds a circuit without an item.
fn offer_new(ending: Ending) -> Ending {
    if let Ending::NotFound(text) = ending {
        Ending::NotFound(format!("{text} (--new holds it all the same)"))
    } else {
        ending
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

/// Closes a circuit.
pub(crate) async fn release(
    table: &Table,
    name: &CircuitName,
    is_json: bool,
) -> Result<(), Ending> {
    let before = table.known(name).await?;
    if before.status(time::now()) == Status::Closed {
        output::note(&format!("{name} is closed: there is nothing to release\n"));
        return list::print(&before, is_json);
    }
    carry_out(table, name, None).await?;
    tell(table, name, Some(&before), is_json).await
}

/// Holds a circuit, or closes it, whatever it is.
pub(crate) async fn carry_out(
    table: &Table,
    name: &CircuitName,
    hold: Option<Hold>,
) -> Result<(), Ending> {
    let (registry, breaker) = table.breaker(name)?;
    let done = match hold {
        Some(hold) => breaker.hold(hold).await,
        None => breaker.release().await,
    };
    // Its circuit has no calls, and so nothing to settle.
    let _ = registry.shutdown(SHUTDOWN).await;
    explained(table, name, done).await
}

/// Says what a circuit is after a command, and what it was before.
async fn tell(
    table: &Table,
    name: &CircuitName,
    before: Option<&Circuit>,
    is_json: bool,
) -> Result<(), Ending> {
    if let Some(before) = before {
        let now = time::now();
        let why = before.why(now);
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        output::note(&format!("before: {}{why}\n", before.status(now).word()));
    }
    // The command is carried out, whether or not it can be shown.
    match table.read(name, Consistency::Strong).await {
        Ok(Some(after)) => list::print(&after, is_json),
        Ok(None) => Ok(()),
        Err(error) => {
            let why = error.message().unwrap_or_default();
            output::note(&format!("done, but the circuit cannot be read now: {why}"));
            Ok(())
        }
    }
}

/// The error of a command, with what to do.
async fn explained(
    table: &Table,
    name: &CircuitName,
    done: Result<(), OperatorError>,
) -> Result<(), Ending> {
    match done {
        Ok(()) => Ok(()),
        Err(OperatorError::Invalid(error)) => Err(Ending::usage(error)),
        Err(OperatorError::Store(StoreErrorKind::Misconfigured)) => {
            // The error has no text: what is wrong is found out now.
            let why = match table.store.verify().await {
                Err(faults) => table.explain_faults(&faults),
                Ok(_) => "`fuseboard verify` finds no fault: try again".to_owned(),
            };
            Err(Ending::failed(format_args!("nothing was written: {why}")))
        }
        Err(OperatorError::Store(_)) => Err(Ending::failed(format_args!(
            "the store failed; the command may have been carried out: look with `fuseboard show {name}`, and try again"
        ))),
        // Nothing was written, and it says so.
        Err(error @ OperatorError::Contended) => Err(Ending::failed(error)),
        Err(error) => {
            let look = format_args!("look with `fuseboard show {name}`, and try again");
            Err(Ending::failed(format_args!("{error}: {look}")))
        }
    }
}
