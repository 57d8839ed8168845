//! The transition table: every input in every state, by name.
//!
//! The expected rows are in `table/*.txt`, one section a state, one line for
//! all the inputs that have one effect there; `all others` change nothing, and
//! not one of them does more. The test fails when a pair of
//! state and input has no row, has two, or does something else; its message
//! shows the section as it is, to be judged and taken over.
//!
//! A row reads: inputs `=>` answer to the call; state after (only if it
//! changed); effects in order. Stamps are seconds from now. `S F O W L X C` are
//! the attributes of a record: state, failure count, opened at, owner, lease,
//! expiry, success count.

mod states;
mod words;

use self::{states::STATES, words::Words};
use super::{process::*, *};
use crate::{
    protocol::health::BackedOff,
    protocol::machine::{
        Command, ProbeId, StoreRequest, StoreResponse,
        phase::{Phase, Recovery},
        prober::Prober,
    },
};

const ROWS: [&str; 3] = [
    include_str!("table/closed.txt"),
    include_str!("table/open.txt"),
    include_str!("table/half_open.txt"),
];

const REPORTS: [(&str, CallEnd); 4] = [
    ("success", CallEnd::Success),
    ("failure", CallEnd::Failure),
    ("ignored", CallEnd::Ignored),
    ("no verdict", CallEnd::Dropped),
];

const FAILURES: [(&str, StoreErrorKind); 5] = [
    ("failed: timeout", StoreErrorKind::Timeout),
    ("failed: unavailable", StoreErrorKind::Unavailable),
    ("failed: throttled", StoreErrorKind::Throttled),
    ("failed: misconfigured", StoreErrorKind::Misconfigured),
    ("failed: bad answer", StoreErrorKind::BadAnswer),
];

/// What happens to a machine; `Call` and `End` are told by their words.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test makes few of them")]
enum Input {
    Admit { looked: bool },
    End { epochs_ago: u64, report: CallEnd },
    EndProbe { current: bool, report: CallEnd },
    KeepAlive { current: bool },
    Refresh,
    Tick,
    Applied,
    StoreResponse(StoreResponse),
    Command(Command),
}

/// Every input by name, as it is for a machine in this state.
fn inputs(process: &Process) -> Vec<(String, Input)> {
    let mut inputs = vec![
        ("admit".into(), Input::Admit { looked: false }),
        ("admit after a read".into(), Input::Admit { looked: true }),
    ];
    for (word, report) in REPORTS {
        inputs.push((word.into(), Input::End { epochs_ago: 0, report }));
        inputs.push((format!("late {word}"), Input::End { epochs_ago: 1, report }));
        inputs.push((format!("probe's {word}"), Input::EndProbe { current: true, report }));
        inputs.push((format!("old probe's {word}"), Input::EndProbe { current: false, report }));
    }
    inputs.push(("keep alive".into(), Input::KeepAlive { current: true }));
    inputs.push(("old keep alive".into(), Input::KeepAlive { current: false }));
    inputs.push(("refresh".into(), Input::Refresh));
    inputs.push(("tick".into(), Input::Tick));
    inputs.push(("applied".into(), Input::Applied));
    let now = process.now.unix_floor(Duration::ZERO);
    inputs.push(("hold".into(), Input::Command(hold(HoldKind::Open, now + 600))));
    inputs.push(("hold closed".into(), Input::Command(hold(HoldKind::Closed, now + 600))));
    inputs.push(("release".into(), Input::Command(Command::Release)));
    let held = match &process.machine.phase {
        Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => Some(&ours.token),
        Phase::HalfOpen(_) | Phase::Open(_) | Phase::Closed { .. } => None,
    };
    let elected = process.machine.cache.election.as_ref().map(|election| &election.token);
    let own = held.or(elected).map_or("node0-0", LeaseToken::as_str);
    for (word, record) in [
        ("none", None),
        ("closed", Some(closed(START_UNIX))),
        ("newer closed", Some(closed(now + 3_700))),
        ("held closed", Some(record_held_closed(now, now + 40))),
        ("open", Some(open(now))),
        ("half-open", Some(half_open("another", now + 30))),
        ("own", Some(half_open(own, now + 20))),
        ("unknown", Some(Record { state: Field::Absent, ..closed(now) })),
    ] {
        inputs.push((
            format!("read {word}"),
            Input::StoreResponse(StoreResponse::Read(record.clone())),
        ));
        let refused = StoreResponse::Written(Written::Refused(record));
        inputs.push((format!("refused {word}"), Input::StoreResponse(refused)));
    }
    for (word, kind) in FAILURES {
        inputs.push((word.into(), Input::StoreResponse(StoreResponse::Failed(kind))));
    }
    let backed_off = StoreResponse::BackedOff(BackedOff { wait: s(7), is_outage: true });
    inputs.push(("backed off".into(), Input::StoreResponse(backed_off)));
    inputs
}

/// Feeds one input and tells what it did.
fn feed(process: &mut Process, input: Input) -> String {
    let mut words = Words::before(process);
    let waiting = process.waiters();
    let old_probe = ProbeId::from_number(999_999);
    let current_probe = process.last_probe.or(Some(ProbeId::FIRST));
    let probe = |current| if current { current_probe } else { old_probe };
    let epoch = process.machine.epoch();
    match input {
        Input::Admit { looked } => {
            let call = if looked { process.call_looked() } else { process.call() };
            words.call(call, process.looks(call));
        }
        Input::End { epochs_ago, report } => {
            process.end(CallId { epoch: epoch - epochs_ago, probe: None }, report);
        }
        Input::EndProbe { current, report } => {
            process.end(CallId { epoch, probe: probe(current) }, report);
        }
        Input::KeepAlive { current } => process.keep_alive(CallId { epoch, probe: probe(current) }),
        Input::Refresh => process.refresh(),
        Input::Tick => process.tick(),
        Input::Applied => {
            let record = match &process.job {
                Some(StoreRequest::Write { operation, .. }) => {
                    operation.apply(process.machine.cache.record())
                }
                Some(StoreRequest::Read { .. }) | None => Some(open(START_UNIX)),
            };
            let record = record.expect("an operation applies to what is known");
            process.answer(StoreResponse::Written(Written::Applied(record)));
        }
        Input::StoreResponse(answer) => process.answer(answer),
        Input::Command(command) => process.command(command),
    }
    for call in waiting {
        if let Some(decided) = process.decision(call) {
            words.waiter(decided);
        }
    }
    words.after(process)
}

/// The section of one state as the machine has it.
fn section(name: &str, build: fn() -> Process) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (at, (word, _)) in inputs(&build()).into_iter().enumerate() {
        let mut process = build();
        let (_, input) = inputs(&process).swap_remove(at);
        let done = feed(&mut process, input);
        match rows.iter_mut().find(|(known, _)| *known == done) {
            Some((_, words)) => words.push(word),
            None => rows.push((done, vec![word])),
        }
    }
    rows.sort_by_key(|(done, _)| done == "nothing");
    let mut section = format!("# {name}: {}\n", Words::before(&build()).state);
    for (done, words) in rows {
        let words = if done == "nothing" { "all others".into() } else { words.join(", ") };
        section += &format!("{words}\n  => {done}\n");
    }
    section
}

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    let rows = ROWS.concat();
    let written: Vec<&str> =
        rows.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).collect();
    let mut wrong = Vec::new();
    for (name, build) in STATES {
        let section = section(name, build);
        if !written.contains(&section.trim()) {
            wrong.push(section);
        }
    }
    assert!(wrong.is_empty(), "sections as they are:\n{}", wrong.join("\n"));
    assert_eq!(written.len(), STATES.len(), "a section without a state");
}
