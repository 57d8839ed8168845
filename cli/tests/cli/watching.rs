//! `watch` where the output is no terminal: a line for each change, until it is told to end.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
};

use crate::world::{World, closed, half_open_by_python, now, open, soon};

/// A command that watches.
struct Watching {
    process: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Watching {
    fn start(world: &World, line: &[&str]) -> Self {
        let line = [&["watch", "--interval", "200ms"], line].concat();
        let mut process = world.command(&line).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap()).lines();
        let err = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, out, err }
    }

    /// The next line without its time.
    async fn line(&mut self) -> String {
        untimed(&next(&mut self.out).await)
    }

    /// Waits for the next line, which begins so.
    async fn opens(&mut self, begin: &str) {
        let line = self.line().await;
        assert!(line.starts_with(begin), "{line}");
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&next(&mut self.out).await).unwrap()
    }

    /// Sends a signal, and checks that nothing but the end follows.
    async fn ends_on(mut self, signal: Signal) {
        let id = Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
        let status = soon("it ends", self.process.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{status:?}");
        assert_eq!(self.out.next_line().await.unwrap(), None);
        assert_eq!(self.err.next_line().await.unwrap(), None);
    }
}

async fn next(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> String {
    soon("a line is printed", lines.next_line()).await.unwrap().expect("the output goes on")
}

fn untimed(line: &str) -> String {
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "{line}");
    rest.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_watch_prints_a_line_for_each_change_and_ends_on_ctrl_c() {
    let world = World::new().await;
    world.put("payments", &closed());
    let mut watching = Watching::start(&world, &[]);
    assert_eq!(watching.line().await, "payments CLOSED");
    world.put("payments", &open(now()));
    let told = watching.line().await;
    assert!(told.starts_with("payments CLOSED -> OPEN (5 failures; a probe is due in "), "{told}");
    world.put("search", &half_open_by_python(now() + 30));
    assert_eq!(watching.line().await, "search HALF_OPEN (17#0b5e probes)");
    // An opening that followed while nobody looked.
    world.put("payments", &open(now() - 40));
    let told = "payments OPEN again (5 failures; a probe is due: the next call probes)";
    assert_eq!(watching.line().await, told);
    world.remove("payments");
    assert_eq!(watching.line().await, "payments OPEN -> no item (closed)");
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_watch_of_one_circuit_reads_that_item_alone_and_prints_json() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    world.put("search", &open(now()));
    let before = world.way.asked().len();
    let mut watching = Watching::start(&world, &["payments", "--json"]);
    let line = watching.json().await;
    assert_eq!(line["name"], "payments");
    assert_eq!((&line["before"], &line["after"]), (&Value::Null, &json!("OPEN")));
    assert_eq!(line["circuit"]["failure_count"], 5);
    assert_eq!(line["circuit"], world.json(&["show", "payments"]).await);
    world.put("payments", &closed());
    let line = watching.json().await;
    assert_eq!((&line["before"], &line["after"]), (&json!("OPEN"), &json!("CLOSED")));
    assert!(world.way.asked()[before..].iter().all(|asked| asked == "GetItem"));
    watching.ends_on(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prober_that_changes_or_has_gone_is_a_line() {
    let world = World::new().await;
    let mut item = half_open_by_python(now() + 30);
    world.put("payments", &item);
    let mut watching = Watching::start(&world, &[]);
    assert_eq!(watching.line().await, "payments HALF_OPEN (17#0b5e probes)");
    item["half_open_owner"] = json!("task-42/8d0f");
    world.put("payments", &item);
    assert_eq!(watching.line().await, "payments still HALF_OPEN (task-42 probes)");
    // Its lease is renewed, and then it is killed.
    item["probe_lease_expiry"] = json!(now() + 50);
    world.put("payments", &item);
    item["probe_lease_expiry"] = json!(now() - 125);
    world.put("payments", &item);
    let told =
        "payments still HALF_OPEN (the lease of task-42 ended 2 min ago; the next call probes)";
    assert_eq!(watching.line().await, told);
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_of_open_circuits_tells_only_of_these() {
    let world = World::new().await;
    world.put("quotes", &closed());
    world.put("payments", &open(now()));
    let mut watching = Watching::start(&world, &["--open"]);
    watching.opens("payments OPEN (5 failures").await;
    world.put("search", &closed());
    world.put("payments", &closed());
    assert_eq!(watching.line().await, "payments OPEN -> CLOSED");
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_once_and_the_watching_goes_on() {
    let world = World::new().await;
    world.put("payments", &closed());
    let mut watching = Watching::start(&world, &[]);
    assert_eq!(watching.line().await, "payments CLOSED");
    world.way.set_down(true);
    let told = untimed(&next(&mut watching.err).await);
    assert!(told.starts_with("no answer, trying again: scan in table \"circuits\""), "{told}");
    world.put("payments", &open(now()));
    world.way.set_down(false);
    assert_eq!(untimed(&next(&mut watching.err).await), "the table answers again");
    watching.opens("payments CLOSED -> OPEN (5 failures").await;

    // One that begins while the table cannot be reached waits for it.
    world.way.set_down(true);
    let mut late = Watching::start(&world, &["--json"]);
    let line = late.json().await;
    assert_eq!(line["note"], "no answer, trying again");
    world.way.set_down(false);
    assert_eq!(late.json().await["note"], "the table answers again");
    assert_eq!(late.json().await["after"], "OPEN");
    late.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_told_and_watched() {
    let world = World::new().await;
    let mut watching = Watching::start(&world, &[]);
    let told = next(&mut watching.err).await;
    assert_eq!(told, "no circuit has an item in table \"circuits\": all are closed");
    world.put("payments", &open(now()));
    watching.opens("payments OPEN (5 failures").await;
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_hides_every_circuit_is_told() {
    let world = World::new().await;
    world.put("orders/db", &open(now()));
    let mut watching = Watching::start(&world, &["--prefix", "shop/"]);
    let told = next(&mut watching.err).await;
    assert!(told.contains("1 circuit of another prefix has: is the prefix right?"), "{told}");
    world.put("shop/db", &open(now()));
    watching.opens("db OPEN (5 failures").await;
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circuit_without_an_item_is_told_with_the_names_that_are_near() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let mut watching = Watching::start(&world, &["paymentt"]);
    let told = next(&mut watching.err).await;
    assert!(told.starts_with("no item of paymentt in table \"circuits\": it never"), "{told}");
    assert!(told.ends_with("did you mean payments?"), "{told}");
    world.put("paymentt", &open(now()));
    watching.opens("paymentt OPEN (5 failures").await;
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_while_it_looks_for_names_that_are_near() {
    let world = World::new().await;
    let mut look = world.way.stop("Scan");
    let watching = Watching::start(&world, &["paymentt"]);
    look.arrived().await;
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_programs_is_told() {
    let world = World::new().await;
    world.put("order-7", &json!({"state": "SHIPPED", "total": 12}));
    let mut watching = Watching::start(&world, &["order-7"]);
    let told = next(&mut watching.err).await;
    let shown = world.run(&["show", "order-7"]).await;
    assert_eq!(format!("error: {told}\n"), shown.err);
    world.put("order-7", &open(now()));
    watching.opens("order-7 OPEN (5 failures").await;
    watching.ends_on(Signal::INT).await;

    world.put("order-7", &json!({"state": "SHIPPED", "total": 12}));
    let mut watching = Watching::start(&world, &[]);
    let told = next(&mut watching.err).await;
    assert!(told.ends_with("such as \"order-7\": is it the table of circuits?"), "{told}");
    watching.ends_on(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_leaves_ends_it_though_nothing_changes() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let mut watching = Watching::start(&world, &[]);
    watching.opens("payments OPEN (5 failures").await;
    let Watching { mut process, out, err: _err } = watching;
    drop(out);
    let status = soon("it ends", process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status:?}");
}
