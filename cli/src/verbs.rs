//! `verify`, `create-table` and `completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::{args::Args, ending::Ending, json, output, table::Table};

/// Checks everything that circuits need in order to be shared.
pub(crate) async fn verify(table: &Table, is_json: bool) -> Result<(), Ending> {
    let result = table.store.verify().await;
    if is_json {
        output::print(&json::pages(&json::verified(&result)))?;
        return result.map(|_| ()).map_err(Ending::failed);
    }
    let verified = result.map_err(Ending::failed)?;
    let mut text = format!("table {:?} is as circuits need it\n", table.name);
    for not_checked in verified.not_checked() {
        text += &format!("{not_checked}\n");
    }
    output::print(&text)
}

/// Creates the table, if it does not exist.
pub(crate) async fn create_table(table: &Table, is_json: bool) -> Result<(), Ending> {
    let created = table.store.create_table().await;
    created.map_err(|error| Ending::Failed(table.explain(&error)))?;
    output::print(&if is_json {
        json::pages(&json!({"table": table.name, "ready": true}))
    } else {
        format!("table {:?} is ready\n", table.name)
    })
}

/// Prints what completes the command in a shell.
pub(crate) fn completion(shell: Shell) -> Result<(), Ending> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "fuseboard", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
