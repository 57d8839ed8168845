//! `list` and `show`.

use std::time::SystemTime;

use fuseboard::{CircuitName, store::Consistency};

use crate::{
    circuit::{Circuit, Next, Status},
    ending::Ending,
    grid, json, orders,
    output::{self, Output},
    table::{Listing, Nothing, Table},
    text::{shown, width},
    time,
};

/// Which circuits `list` shows, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) only_open: bool,
    pub(crate) exit_code: bool,
    pub(crate) json: bool,
}

/// Lists the circuits of a table.
pub(crate) async fn list(table: &Table, how: List) -> Result<(), Ending> {
    let listed = table.list(Consistency::Strong).await;
    let listing = listed.map_err(|error| Ending::Failed(table.explain(&error)))?;
    let nothing = listing.nothing(table);
    let is_failure = match listing.why_nothing() {
        Some(Nothing::OtherKey) => return Err(Ending::Failed(nothing.unwrap_or_default())),
        // A table that is misspelt must not read as if all were well.
        Some(Nothing::OtherProgram) => true,
        // A prefix that is misspelt hides what a script asks for.
        Some(Nothing::OtherPrefix) => how.exit_code,
        Some(Nothing::Closed) | None => false,
    };
    let now = time::now();
    let chosen = || listing.circuits.iter().filter(|one| !how.only_open || one.is_open(now));
    if how.json {
        output::print(&json::pages(&json::listing(&table.name, chosen(), &listing, now)))?;
    } else {
        if chosen().next().is_some() {
            let (open, others): (Vec<_>, Vec<_>) = chosen().partition(|one| one.is_open(now));
            let output = Output::detect();
            let sorted = open.into_iter().chain(others);
            let lines = grid::lines(sorted, now, output.columns(), output.has_colours);
            output::print(&(lines.join("\n") + "\n"))?;
        }
        let told = nothing.as_ref().filter(|_| !is_failure);
        let told = told.map(|text| format!("{text}\n")).unwrap_or_default();
        output::note(&(told + &aside(&listing, how.only_open, now)));
    }
    if let Some(nothing) = nothing.filter(|_| is_failure) {
        return Err(Ending::Failed(nothing));
    }
    if how.exit_code && listing.circuits.iter().any(|one| one.is_open(now)) {
        return Err(Ending::SomeOpen);
    }
    Ok(())
}

/// What is said beside the list: what it does not show.
fn aside(listing: &Listing, only_open: bool, now: SystemTime) -> String {
    let mut text = String::new();
    let circuits = listing.circuits.len();
    if only_open && circuits > 0 && !listing.circuits.iter().any(|one| one.is_open(now)) {
        text += &format!("no circuit is open, of {circuits} that have an item\n");
    }
    for circuit in &listing.dry_runs {
        text += &format!("dry run: {} would be {}\n", shown(&circuit.name), dry_run(circuit, now));
    }
    // Where there are no circuits, that is told with it.
    if let Some(example) = listing.example.as_ref().filter(|_| circuits > 0) {
        let foreign = listing.foreign;
        let word = if foreign == 1 { "item" } else { "items" };
        text += &format!("not circuits': {foreign} {word}, such as \"{}\"\n", shown(example));
    }
    text
}

/// What a circuit would be, why and since when.
fn dry_run(circuit: &Circuit, now: SystemTime) -> String {
    let word = circuit.status(now).word();
    let since = circuit.since(now).map(|since| time::distance(now, since));
    let told: Vec<_> = [Some(circuit.why(now)), since].into_iter().flatten().collect();
    let told = told.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    if told.is_empty() { word.to_owned() } else { format!("{word} ({told})") }
}

/// Shows one circuit. One without an item of its own that processes try, by what they go by.
pub(crate) async fn show(table: &Table, name: &CircuitName, is_json: bool) -> Result<(), Ending> {
    let circuit = match table.known(name).await {
        Err(Ending::NotFound(why)) => table.dry_run(name).await.ok_or(Ending::NotFound(why))?,
        found => found?,
    };
    print(&circuit, is_json)
}

/// Prints one circuit.
pub(crate) fn print(circuit: &Circuit, is_json: bool) -> Result<(), Ending> {
    let now = time::now();
    if is_json {
        output::print(&json::pages(&json::circuit(circuit, now)))
    } else {
        output::print(&page(circuit, now))
    }
}

/// All that a record tells, a line each.
fn page(circuit: &Circuit, now: SystemTime) -> String {
    let record = &circuit.record;
    // Stamps are rounded up, and clocks differ.
    let past = |second: i64| {
        let distance = time::distance(now, second.min(time::seconds(now)));
        format!("{} ({distance})", time::rfc3339(second))
    };
    let count =
        |number: Option<&u64>| number.filter(|number| **number > 0).map(ToString::to_string);
    let status = circuit.status(now);
    let is_held = matches!(status, Status::HeldOpen | Status::HeldClosed);
    let hold = circuit.hold().filter(|_| is_held);
    let held_until = hold.as_ref().map(|hold| orders::until(hold, now));
    let until = held_until.or_else(|| circuit.until(now).map(|second| at(now, second)));
    let lines = [
        ("state", Some(status.word().to_owned())),
        ("reason", hold.as_ref().map(|hold| hold.reason.clone())),
        ("by", hold.as_ref().and_then(|hold| hold.by.as_ref().map(ToString::to_string))),
        ("until", until),
        ("next probe", next_probe(circuit, now)),
        ("since", circuit.since(now).map(past)),
        ("cause", record.cause.valid().filter(|_| !is_held).map(ToString::to_string)),
        ("prober", prober(circuit, now)),
        ("hold", ended_hold(circuit, now)),
        ("failures", count(record.failure_count.valid())),
        ("failed probes", count(record.failed_probes.valid())),
        ("good probes", count(record.success_count.valid())),
        // That of a hold is made from its end.
        ("opened", record.opened_at.valid().filter(|_| !record.is_held()).copied().map(past)),
        ("released", record.released.valid().filter(|_| !is_held).copied().map(past)),
        ("deleted after", record.expires_at.valid().map(|second| at(now, *second))),
        ("defect", record.defect().map(|name| format!("{name} cannot be used"))),
    ];
    let dry_run = if circuit.is_dry_run() { " (in a dry run: every call runs)" } else { "" };
    let mut text = format!("{}{dry_run}\n", shown(&circuit.name));
    let widest = lines.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    for (name, value) in lines {
        if let Some(value) = value {
            text += &format!("  {name:<widest$}  {}\n", shown(&value));
        }
    }
    text
}

/// A time, and how far away it is.
fn at(now: SystemTime, second: i64) -> String {
    format!("{} ({})", time::rfc3339(second), time::distance(now, second))
}

fn next_probe(circuit: &Circuit, now: SystemTime) -> Option<String> {
    match circuit.next(now) {
        Next::Probe(second) => Some(at(now, second)),
        Next::Call(second) => Some(format!("due since {}: the next call probes", at(now, second))),
        Next::Until(_) | Next::Unknown => None,
    }
}

fn prober(circuit: &Circuit, now: SystemTime) -> Option<String> {
    let owner = circuit.prober()?;
    Some(match circuit.next(now) {
        Next::Call(_) => format!("nobody: the lease of {owner} ended"),
        Next::Until(_) | Next::Probe(_) | Next::Unknown => owner.to_owned(),
    })
}

/// A hold that is over, and that nobody has probed since.
fn ended_hold(circuit: &Circuit, now: SystemTime) -> Option<String> {
    let hold = circuit.hold().filter(|hold| hold.is_open && hold.is_over(now))?;
    let by = hold.by.map(|by| format!(" by {by}")).unwrap_or_default();
    let end = hold.until.map(|until| at(now, until)).unwrap_or_default();
    Some(format!("ended {end}{by}: {}", hold.reason))
}
