//! What an operator's role may do, and what that of a process may not.

use std::collections::BTreeSet;

use fuseboard::Config;
use serde_json::Value;

use super::{
    page::{self, Scene},
    process::Other,
    shell::Shell,
};
use crate::world::World;

/// The permissions of an operator's role, as the page gives them.
const OPERATOR: &[&str] = &["DescribeTable", "DescribeTimeToLive", "GetItem", "Scan", "UpdateItem"];

/// Those of a process's role.
const PROCESS: &[&str] = &["GetItem", "UpdateItem"];

#[tokio::test]
async fn the_role_of_an_operator_is_enough_and_that_of_a_process_does_not_list() {
    let world = World::new().await;
    Other::named(&world, "task-3").trips(Config::default()).await;
    let mut page = Scene::new("What an operator may do");
    let anna = Shell::of(&world, "anna");
    world.way.allow_only(PROCESS);
    page.block(anna.ends("fuseboard list", 1).await);
    page.block(anna.ends("fuseboard show payment-backnd", 3).await);
    anna.runs("fuseboard show payment-backend").await;
    anna.runs("fuseboard hold payment-backend --for 1m --reason \"as a process\"").await;

    assert_eq!(given_by_the_page(), OPERATOR);
    world.way.allow_only(OPERATOR);
    let before = world.way.asked().len();
    for line in [
        "fuseboard verify",
        "fuseboard list",
        "fuseboard show payment-backend",
        "fuseboard hold payment-backend --for 2h --reason \"bank is down, INC-77\"",
        "fuseboard disable payment-backend --for 2h --reason \"bank is down, INC-77\"",
        "fuseboard release payment-backend",
        "fuseboard hold quotes --new --for 2h --reason \"not to be called yet\"",
    ] {
        anna.runs(line).await;
    }
    let asked: BTreeSet<_> = world.way.asked().into_iter().skip(before).collect();
    let needed: BTreeSet<_> = ["DescribeTimeToLive", "GetItem", "Scan", "UpdateItem"].into();
    assert_eq!(asked, needed.into_iter().map(ToOwned::to_owned).collect());
    let other = Shell::of(&world, "anna").with_table("circuits-2");
    page.block(other.ends("fuseboard create-table", 1).await);
    page.matches_the_page();
}

/// The operations of the policy on the page.
fn given_by_the_page() -> Vec<String> {
    let page = page::text();
    let policies = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let policy: Value = serde_json::from_str(policies.last().unwrap()).unwrap();
    let actions = policy["Statement"][0]["Action"].as_array().unwrap().iter();
    let names = actions.map(|action| action.as_str().unwrap().strip_prefix("dynamodb:").unwrap());
    names.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn an_operator_checks_that_the_command_works_before_it_is_needed() {
    let world = World::new().await;
    let mut page = Scene::new("Before you need it");
    let anna = Shell::of(&world, "anna");
    world.way.allow_only(OPERATOR);
    page.block(anna.runs("fuseboard verify").await + &anna.runs("fuseboard list").await);
    // What is enough for a process.
    world.way.allow_only(&["DescribeTimeToLive", "GetItem", "UpdateItem"]);
    page.block(anna.runs("fuseboard verify").await);
    page.matches_the_page();
}
