//! What makes no sense or cannot be done: what to do, an exit status, and nothing written.

use std::{fs::File, process::Stdio};

use serde_json::json;
use tokio::process::Command;

use crate::world::{Ran, World, closed, ended, now, open};

/// The command failed with this status, and said all this.
fn said(ran: &Ran, status: i32, words: &[&str]) {
    assert_eq!((ran.status, ran.out.as_str()), (status, ""), "{ran:?}");
    for words in words {
        assert!(ran.err.contains(words), "{words:?}: {ran:?}");
    }
    assert!(ran.err.starts_with("error: "), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_an_unknown_circuit_is_told_with_the_names_that_are_near() {
    let world = World::new().await;
    world.put("payment-backend", &open(now()));
    world.put("search", &closed());
    for line in [
        &["show", "paymnet-backend"][..],
        &["release", "paymnet-backend"],
        &["hold", "paymnet-backend", "--for", "2h", "--reason", "move"],
        &["disable", "paymnet-backend", "--for", "2h", "--reason", "move"],
    ] {
        let ran = world.run(line).await;
        said(
            &ran,
            3,
            &["no item of paymnet-backend in table \"circuits\"", "did you mean payment-backend?"],
        );
        assert!(!ran.err.contains("search"), "{ran:?}");
        let is_hold = line.contains(&"--for");
        assert_eq!(ran.err.contains("--new"), is_hold, "{ran:?}");
    }
    assert_eq!(world.item("paymnet-backend"), None);
    said(
        &world.run(&["show", "quotes"]).await,
        3,
        &["; `fuseboard list` shows those that have one"],
    );
    let ran = world.run(&["show", "search", "--prefix", "shop/"]).await;
    said(&ran, 3, &["no item has the prefix \"shop/\""]);
    // Who may not list hears the rest.
    world.way.deny("Scan");
    let ran = world.run(&["show", "paymnet-backend"]).await;
    said(&ran, 3, &["no item of paymnet-backend", "or it has another name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_an_unknown_table_is_told_with_where_it_was_looked_for() {
    let world = World::empty().await;
    for line in [
        &["list"][..],
        &["show", "payments"],
        &["watch"],
        &["watch", "payments"],
        &["release", "payments"],
        &["verify"],
        &["hold", "payments", "--for", "2h", "--reason", "move", "--new"],
    ] {
        let ran = world.run(line).await;
        said(&ran, 1, &["\"circuits\"", "create the table, or correct its name"]);
        assert!(ran.err.contains("eu-central-1"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_times_and_texts_that_make_no_sense_are_refused_before_anything_is_sent() {
    let world = World::new().await;
    let before = world.way.asked().len();
    let long = "x".repeat(100_000);
    for (line, words) in [
        (
            &["hold", "a", "--until", "2020-01-01T00:00:00Z", "--reason", "x"][..],
            "must lie in the future; it was",
        ),
        (
            &["hold", "a", "--until", "2999-01-31T14:00:00+01:00", "--reason", "x"],
            "must be at most 365 days ahead",
        ),
        (&["hold", "a", "--until", "noon", "--reason", "x"], "write it like 2030-01-31T14:00:00Z"),
        (&["hold", "a", "--for", "2", "--reason", "x"], "write it like 2h"),
        (&["hold", "a", "--for", "0s", "--reason", "x"], "must be more than zero"),
        (&["hold", "a", "--for", "2h", "--reason", &long], "at most 1,024 bytes, got 100000"),
        (&["disable", "a", "--reason", "x"], "--for <TIME>|--until <TIME>"),
        (&["show", ""], "at least 1 byte"),
        (&["lst"], "list"),
    ] {
        let ran = world.run(line).await;
        said(&ran, 2, &[words]);
        assert!(ran.err.len() < 600, "{line:?}: {} bytes", ran.err.len());
    }
    let mut command = world.command(&["list"]);
    command.env_remove("FUSEBOARD_TABLE");
    said(&ended(command).await, 2, &["--table", "FUSEBOARD_TABLE"]);
    assert_eq!(world.way.asked().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_the_breakers_is_left_as_it_is() {
    let world = World::new().await;
    let order = json!({"state": "SHIPPED", "total": 12, "expiration": 9});
    world.put("order-7", &order);
    let before = world.item("order-7");
    for line in [
        &["show", "order-7"][..],
        &["release", "order-7"],
        &["hold", "order-7", "--for", "2h", "--reason", "move"],
        &["hold", "order-7", "--for", "2h", "--reason", "move", "--new"],
        &["disable", "order-7", "--for", "2h", "--reason", "move"],
    ] {
        let ran = world.run(line).await;
        said(
            &ran,
            1,
            &["the item of order-7 in table \"circuits\" is not a circuit's", "left as it is"],
        );
    }
    assert_eq!(world.item("order-7"), before);
    let ran = world.run(&["list", "--key-attr", "pk"]).await;
    said(&ran, 1, &["no item of table \"circuits\" has the key", "set --key-attr"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_circuit_is_not_held_in_a_table_of_another_program() {
    let world = World::new().await;
    for number in 0..3 {
        world.put(&format!("order-{number}"), &json!({"total": number, "customer": "c"}));
    }
    let new = ["hold", "payments", "--for", "2h", "--reason", "move", "--new"];
    for line in [&new[..], &["disable", "payments", "--for", "2h", "--reason", "x", "--new"]] {
        let ran = world.run(line).await;
        said(&ran, 1, &["table \"circuits\" has no circuit", "\"order-", "--any-table"]);
        let end = "nothing was written: is this the table? (--any-table holds it all the same)\n";
        assert!(ran.err.ends_with(end), "{ran:?}");
    }
    assert_eq!(world.item("payments"), None);
    let asked = world.run(&[&new[..], &["--any-table"]].concat()).await;
    assert_eq!(asked.status, 0, "{asked:?}");
    // Now it has one. Items of one's own are enough, of whatever kind, and so is none at all.
    let other = ["hold", "search", "--for", "2h", "--reason", "move", "--new"];
    assert_eq!(world.run(&other).await.status, 0);
    for key in [Some("quotes#dry-run"), Some("quotes#votes"), None] {
        let world = World::new().await;
        if let Some(key) = key {
            world.put("order-7", &json!({"total": 12}));
            world.put(key, &open(now()));
        }
        assert_eq!(world.run(&new).await.status, 0, "{key:?}");
    }
    // Who may not list hears that nobody has looked.
    let world = World::new().await;
    world.put("order-7", &json!({"total": 12}));
    world.way.deny("Scan");
    let ran = world.run(&new).await;
    assert!(ran.status == 0 && ran.err.contains("not checked whether table"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() {
    let world = World::new().await;
    world.put("payments", &closed());
    world.way.deny("Scan");
    said(&world.run(&["list"]).await, 1, &["allow dynamodb:Scan on it, to a role of operators"]);
    said(&world.run(&["watch"]).await, 1, &["allow dynamodb:Scan on it, to a role of operators"]);
    world.way.deny("UpdateItem");
    let before = world.item("payments");
    let ran = world.run(&["hold", "payments", "--for", "2h", "--reason", "move"]).await;
    said(
        &ran,
        1,
        &["nothing was written: ", "dynamodb:UpdateItem is denied: allow it on the table"],
    );
    assert!(!ran.err.contains("Misconfigured"), "{ran:?}");
    assert_eq!(world.item("payments"), before);
    world.way.deny("GetItem");
    said(&world.run(&["show", "payments"]).await, 1, &["allow dynamodb:GetItem"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_answer_is_told() {
    let world = World::new().await;
    world.way.set_down(true);
    for line in [&["list"][..], &["show", "a"], &["verify"], &["create-table"]] {
        said(&world.run(line).await, 1, &["\"circuits\""]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_makes_no_sense_is_told_without_a_trace() {
    let world = World::new().await;
    let told = async |name: &str, value: &str, words: &[&str]| {
        let mut command = world.command(&["list"]);
        command.env(name, value);
        let ran = ended(command).await;
        said(&ran, 1, words);
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    };
    // The SDK panics over it.
    told("AWS_ACCESS_KEY_ID", "a\u{1}", &["SDK", "check credentials, region and endpoint"]).await;
    told("AWS_REGION", "a b", &["`region`", "(region a b, endpoint http://"]).await;
    told("AWS_ACCESS_KEY_ID", "", &["no credentials"]).await;
}

/// The command in an environment where nobody has signed in.
fn signed_out(world: &World, line: &[&str]) -> Command {
    let mut command = world.command(line);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_signed_in_is_told_how_in_one_line_that_can_be_read() {
    let world = World::new().await;
    let before = world.way.asked().len();
    for line in [
        &["list"][..],
        &["show", "payments"],
        &["watch"],
        &["watch", "payments"],
        &["hold", "payments", "--for", "2h", "--reason", "move", "--new"],
        &["release", "payments"],
        &["verify"],
        &["create-table"],
    ] {
        let ran = ended(signed_out(&world, line)).await;
        said(&ran, 1, &["no credentials: sign in (`aws sso login`)", "--profile", "AWS_PROFILE"]);
        for words in ["AWS_ACCESS_KEY_ID", "takes any key", "region eu-central-1, endpoint http"] {
            assert!(ran.err.contains(words), "{line:?}: {words}: {ran:?}");
        }
        assert!(ran.err.len() < 300 && ran.err.lines().count() == 1, "{ran:?}");
        assert!(!ran.err.contains("process"), "it is a person: {ran:?}");
    }
    assert_eq!(world.way.asked().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_is_told_with_the_command_that_renews_it() {
    let world = World::new().await;
    let folder = std::env::temp_dir().join(format!("fuseboard-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let config = folder.join("config");
    let text = "[profile ops]\nsso_session = s\nsso_account_id = 123456789012\n\
                sso_role_name = ops\n[sso-session s]\nsso_region = eu-central-1\n\
                sso_start_url = https://example.awsapps.com/start\n\
                [profile tool]\ncredential_process = false\n";
    std::fs::write(&config, text).unwrap();
    let ran = async |profile: &str| {
        let mut command = signed_out(&world, &["list", "--profile", profile]);
        command.env("AWS_CONFIG_FILE", &config).env("HOME", &folder);
        ended(command).await
    };
    said(&ran("ops").await, 1, &["SSO token", "sign in (`aws sso login --profile ops`)"]);
    said(&ran("tool").await, 1, &["no credentials: ", "external process exited"]);
    let told = ["there is no profile \"nope\"", "`aws configure list-profiles`"];
    said(&ran("nope").await, 1, &told);
    let mut command = signed_out(&world, &["list"]);
    command.envs([("AWS_CONFIG_FILE", config.as_os_str()), ("AWS_PROFILE", "nope".as_ref())]);
    said(&ended(command).await, 1, &told);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_nobody_has_named_is_asked_for_before_anything_is_sent() {
    let world = World::new().await;
    let before = world.way.asked().len();
    for verb in [&["list"][..], &["verify"], &["dashboard"]] {
        let mut command = world.command(verb);
        command.env_remove("AWS_REGION").env("AWS_EC2_METADATA_DISABLED", "true");
        said(&ended(command).await, 2, &["no region: name one with --region, or in AWS_REGION"]);
    }
    assert_eq!(world.way.asked().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_environment_is_told_too() {
    let world = World::new().await;
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuseboard"));
        command.env_clear().args(["list", "--table", "misspelt"]).stdin(Stdio::null());
        command.envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        command.envs([("AWS_REGION", "eu-central-1"), (name, &world.endpoint)]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        said(
            &ended(command).await,
            1,
            &[&format!("(region eu-central-1, endpoint {})", world.endpoint)],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_left_ends_the_command_quietly() {
    let world = World::new().await;
    for number in 0..1_000 {
        world.put(&format!("circuit-{number}"), &open(now()));
    }
    for line in [
        &["list"][..],
        &["list", "--json"],
        &["watch"],
        &["show", "circuit-1"],
        &["completion", "bash"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = world.command(line);
        command.stdout(Stdio::from(writer));
        let ran = ended(command).await;
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{line:?}");
    }
    for (line, state) in [
        (&["hold", "circuit-1", "--for", "2h", "--reason", "x"][..], "OPEN"),
        (&["disable", "circuit-1", "--for", "2h", "--reason", "x", "--json"], "CLOSED"),
        (&["hold", "circuit-1", "--for", "2h", "--reason", "x"], "OPEN"),
        (&["release", "circuit-1"], "CLOSED"),
        (&["verify"], "CLOSED"),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = world.command(line);
        command.stdout(Stdio::from(writer));
        let ran = ended(command).await;
        // What was done is done, and what was before is told beside it.
        assert_eq!(ran.status, 0, "{line:?}: {ran:?}");
        assert_eq!(ran.err.is_empty(), line == ["verify"], "{line:?}: {ran:?}");
        assert_eq!(world.item("circuit-1").unwrap()["state"]["S"], state, "{line:?}");
    }
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for line in
        [&["hold", "circuit-1", "--for", "2h", "--reason", "x"][..], &["release", "circuit-1"]]
    {
        let mut command = world.command(line);
        command.stdout(full());
        let ran = ended(command).await;
        // A script that read a failure would give the order again.
        assert_eq!(ran.status, 0, "{line:?}: {ran:?}");
        assert!(ran.err.contains("done, but the output cannot be written"), "{ran:?}");
    }
    assert_eq!(world.item("circuit-1").unwrap()["state"]["S"], "CLOSED");
    let mut command = world.command(&["list"]);
    command.stdout(Stdio::from(File::options().write(true).open("/dev/full").unwrap()));
    let ran = ended(command).await;
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("the output cannot be written"), "{ran:?}");
}
