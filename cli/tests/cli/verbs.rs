//! `verify`, `create-table`, `completion`, and the help.

use serde_json::{Value, json};

use crate::world::{World, open};

#[tokio::test(flavor = "multi_thread")]
async fn case_138_create_table_and_verify_do_what_the_library_does() {
    let world = World::empty().await;
    let ran = world.run(&["verify"]).await;
    assert_eq!(ran.status, 1);
    let told = world.store().verify().await.unwrap_err().to_string();
    assert!(ran.err.contains(&told), "{told}: {ran:?}");
    let ran = world.run(&["verify", "--json"]).await;
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, &found["ok"]), (1, &json!(false)));
    assert!(found["faults"][0].as_str().unwrap().contains("create the table"), "{found}");

    let ran = world.run(&["create-table"]).await;
    assert_eq!((ran.status, ran.out.as_str()), (0, "table \"circuits\" is ready\n"), "{ran:?}");
    assert!(world.store().verify().await.is_ok());
    assert_eq!(world.json(&["create-table"]).await, json!({"table": "circuits", "ready": true}));
    let ran = world.run(&["verify"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.starts_with("table \"circuits\" is as circuits need it\n"), "{ran:?}");
    assert_eq!(world.json(&["verify"]).await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_a_role_that_may_not_list_from_a_fault() {
    let world = World::new().await;
    let told = "table \"circuits\" is as circuits need it\n";
    let ran = world.run(&["verify"]).await;
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, told, ""));
    let found = world.json(&["verify"]).await;
    assert_eq!((&found["ok"], &found["lists"]), (&json!(true), &json!(true)));
    world.way.deny("Scan");
    let ran = world.run(&["verify"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    let rest = ran.out.strip_prefix(told).unwrap();
    assert!(
        rest.starts_with("`list`, `watch` and `dashboard` do not work with these cred"),
        "{rest}"
    );
    assert!(rest.contains("dynamodb:Scan") && rest.lines().count() == 1, "{rest}");
    let found = world.json(&["verify"]).await;
    assert_eq!((&found["ok"], &found["lists"]), (&json!(true), &json!(false)));
    assert!(found["why_not"].as_str().unwrap().contains("dynamodb:Scan"), "{found}");
    assert_eq!(world.run(&["list"]).await.status, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_notes_that_a_table_seems_to_be_another_programs() {
    let world = World::new().await;
    assert_eq!(world.json(&["verify"]).await["foreign"], Value::Null);
    world.put("order-7\u{1b}", &json!({"total": 12}));
    let ran = world.run(&["verify"]).await;
    let told = "table \"circuits\" is as circuits need it\n\
                it has no circuit among its first items, but those of another program, such as \
                \"order-7\\u{1b}\": is it the table of circuits?\n";
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, told, ""));
    let found = world.json(&["verify"]).await;
    assert_eq!((&found["ok"], &found["foreign"]), (&json!(true), &json!("order-7\u{1b}")));
    world.put("payments", &open(crate::world::now()));
    assert_eq!(world.json(&["verify"]).await["foreign"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_and_help_need_no_table() {
    let world = World::empty().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = world.command(&["completion", shell]);
        command.env_remove("FUSEBOARD_TABLE");
        let ran = crate::world::ended(command).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        for verb in ["list", "show", "watch", "hold", "disable", "release", "create-table"] {
            assert!(ran.out.contains(verb), "{shell}: {verb}");
        }
    }
    let help = world.run(&["--help"]).await;
    assert_eq!(help.status, 0);
    assert!(help.out.contains("Exit status: 0 done; 1 failed"), "{help:?}");
    // Whoever is woken reads this first.
    for words in
        ["Begin with `fuseboard list`", "fuseboard hold payments --for 2h --reason", "runbook"]
    {
        assert!(help.out.contains(words), "{words}: {help:?}");
    }
    let list = world.run(&["list", "--help"]).await;
    assert!(list.out.contains("UNTIL: when a call may probe"), "{list:?}");
    assert!(!help.out.contains("anna"), "the environment is not shown: {help:?}");
    assert_eq!(world.way.asked(), Vec::<String>::new());
}
