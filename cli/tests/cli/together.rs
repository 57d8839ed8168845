//! Operators at once: whose hold stands is told, and no order ends one that it does not name.

use serde_json::json;

use crate::world::{Ran, World, closed, now, open};

const UPDATE: &str = "UpdateItem";

/// A hold for an hour, by this name and for a reason that is the name twice.
fn hold<'a>(verb: &'a str, by: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let line = [verb, "payments", "--for", "1h", "--reason", by, "--by", by];
    [&line[..], more].concat()
}

/// The order was refused because this operator holds the circuit, one way.
fn lost_to(ran: &Ran, by: &str, way: &str) {
    assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{ran:?}");
    let told = format!("error: {by} holds payments {way} until 2");
    assert!(ran.err.starts_with(&told), "{told}: {ran:?}");
    assert!(ran.err.contains(&format!("): {by}; nothing was written")), "{ran:?}");
}

/// Who holds the circuit by its item.
fn holder(world: &World) -> String {
    world.item("payments").unwrap()["hold_by"]["S"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_of_holds_at_once_one_stands_and_the_others_are_told_whose_it_is() {
    let world = World::new().await;
    let operators = ["anna", "bela", "cleo", "dora"];
    for verb in ["hold", "disable", "hold"] {
        world.put("payments", &open(now()));
        // All have looked, and none has written.
        let mut writes = operators.map(|_| world.way.stop(UPDATE));
        let together = async {
            for write in &mut writes {
                write.arrived().await;
            }
            writes.into_iter().for_each(|write| write.go_on());
        };
        let lines = operators.map(|name| hold(verb, name, &[]));
        let [anna, bela, cleo, dora] = lines.each_ref().map(|line| world.run(line));
        let (anna, bela, cleo, dora, ()) = tokio::join!(anna, bela, cleo, dora, together);
        let ran = [anna, bela, cleo, dora];
        let winner = holder(&world);
        let way = if verb == "hold" { "open" } else { "closed" };
        for (name, ran) in operators.iter().zip(&ran) {
            if **name == winner {
                assert_eq!(ran.status, 0, "{ran:?}");
                assert!(ran.err.starts_with("before: OPEN (5 failures)"), "{ran:?}");
            } else {
                lost_to(ran, &winner, way);
                assert!(ran.err.contains("--replace"), "{ran:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_a_release_does_not_end_a_hold_that_began_after_it_had_looked() {
    let world = World::new().await;
    let release = ["release", "payments"];
    for (verb, way) in [("hold", "open"), ("disable", "closed")] {
        world.put("payments", &open(now()));
        let mut write = world.way.stop(UPDATE);
        let late = async {
            write.arrived().await;
            let held = world.run(&hold(verb, "bela", &[])).await;
            write.go_on();
            held
        };
        let (released, held) = tokio::join!(world.run(&release), late);
        assert_eq!(held.status, 0, "{held:?}");
        lost_to(&released, "bela", way);
        assert!(released.err.contains("`fuseboard release payments`"), "{released:?}");
        assert_eq!(holder(&world), "bela");
        // Who has read that ends it without another word, and is told whose it was.
        let released = world.run(&release).await;
        assert_eq!(released.status, 0, "{released:?}");
        let before = format!("before: held {way} (bela: bela), until 2");
        assert!(released.err.starts_with(&before), "{released:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_a_hold_beside_a_release_stands_and_tells_what_it_replaced() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    let mut write = world.way.stop(UPDATE);
    let late = async {
        write.arrived().await;
        let released = world.run(&["release", "payments"]).await;
        write.go_on();
        released
    };
    let line = hold("hold", "bela", &[]);
    let (held, released) = tokio::join!(world.run(&line), late);
    assert_eq!((held.status, released.status), (0, 0), "{held:?} {released:?}");
    assert!(released.err.starts_with("before: OPEN (5 failures)\n"), "{released:?}");
    assert_eq!(held.err, "before: CLOSED\n", "not what it had looked at");
    assert_eq!(holder(&world), "bela");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_a_hold_of_somebody_else_is_replaced_only_if_that_is_asked_for() {
    let world = World::new().await;
    world.put("payments", &open(now()));
    assert_eq!(world.run(&hold("hold", "anna", &[])).await.status, 0);
    let before = world.item("payments");
    for verb in ["hold", "disable"] {
        let writes = world.way.asked().iter().filter(|asked| *asked == UPDATE).count();
        lost_to(&world.run(&hold(verb, "bela", &[])).await, "anna", "open");
        let after = world.way.asked().iter().filter(|asked| *asked == UPDATE).count();
        assert_eq!((world.item("payments"), after), (before.clone(), writes));
    }
    let json = world.run(&hold("disable", "bela", &["--json"])).await;
    lost_to(&json, "anna", "open");

    // One's own is lengthened, or turned.
    let longer = world.run(&hold("disable", "anna", &[])).await;
    assert_eq!(longer.status, 0, "{longer:?}");
    assert!(longer.err.starts_with("before: held open (anna: anna), until 2"), "{longer:?}");

    let replaced = world.run(&hold("hold", "bela", &["--replace"])).await;
    assert_eq!(replaced.status, 0, "{replaced:?}");
    assert!(replaced.err.starts_with("before: held closed (anna: anna), until 2"), "{replaced:?}");
    assert_eq!(holder(&world), "bela");

    // One that is over is nobody's loss.
    world.age("payments", 7_200);
    let after = world.run(&hold("hold", "cleo", &[])).await;
    assert_eq!((after.status, holder(&world).as_str()), (0, "cleo"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_who_replaces_one_hold_does_not_replace_another() {
    let world = World::new().await;
    world.put("payments", &closed());
    assert_eq!(world.run(&hold("hold", "anna", &[])).await.status, 0);
    let mut write = world.way.stop(UPDATE);
    let late = async {
        write.arrived().await;
        let held = world.run(&hold("hold", "cleo", &["--replace"])).await;
        write.go_on();
        held
    };
    let line = hold("disable", "bela", &["--replace"]);
    let (lost, held) = tokio::join!(world.run(&line), late);
    assert_eq!(held.status, 0, "{held:?}");
    lost_to(&lost, "cleo", "open");
    let end = "that hold began after this command had looked, and the same command ends it\n";
    assert!(lost.err.ends_with(end), "{lost:?}");
    assert_eq!(holder(&world), "cleo");
    assert_eq!(world.run(&line).await.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_a_version_without_ends_or_names_is_somebodys_too() {
    let world = World::new().await;
    let old = json!({"state": "OPEN", "opened_at": now() - 9_000, "expiration": now() + 3_600,
        "failure_count": 0, "half_open_owner": "hold#move"});
    world.put("payments", &old);
    let ran = world.run(&hold("hold", "bela", &[])).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    let told = "error: somebody holds payments open until it is released, or a process has \
                probed it: move; nothing";
    assert!(ran.err.starts_with(told), "{ran:?}");
    let shown = world.run(&["show", "payments"]).await;
    assert!(
        shown.out.contains(" until          it is released, or a process has probed it\n"),
        "{shown:?}"
    );
    assert_eq!(world.run(&hold("hold", "bela", &["--replace"])).await.status, 0);
}
