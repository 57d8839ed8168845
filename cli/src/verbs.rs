//! `verify`, `create-table` and `completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::{args::Args, ending::Ending, json, output, table::Table, text::shown};

/// Checks everything that circuits need in order to be shared, and whether they can be listed.
pub(crate) async fn verify(table: &Table, is_json: bool) -> Result<(), Ending> {
    let result = table.store.verify().await;
    // Processes never list: a role that may not is no fault.
    let listing = match &result {
        Ok(_) => Some(table.of_others().await.map_err(|error| table.explain(&error))),
        Err(_) => None,
    };
    if is_json {
        output::print(&json::pages(&json::verified(&result, listing.as_ref())))?;
        return result.map(|_| ()).map_err(|error| Ending::Failed(table.explain_faults(&error)));
    }
    let verified = result.map_err(|error| Ending::Failed(table.explain_faults(&error)))?;
    let not_checked: Vec<_> = verified.not_checked().iter().map(ToString::to_string).collect();
    output::print(&found_good(&table.name, &not_checked, listing.unwrap_or(Ok(None))))
}

/// What is said of a table without a fault, and of a first item that is another program's. Texts
/// of others are among what was not checked.
fn found_good(
    table: &str,
    not_checked: &[String],
    listing: Result<Option<String>, String>,
) -> String {
    let as_far = if not_checked.is_empty() { "" } else { ", as far as it was checked" };
    let mut text = format!("table {table:?} is as circuits need it{as_far}\n");
    for not_checked in not_checked {
        text += &format!("{}\n", shown(not_checked));
    }
    match listing {
        Ok(None) => {}
        Ok(Some(foreign)) => {
            let foreign = shown(&foreign);
            text += &format!(
                "it has no circuit among its first items, but those of another program, such as \"{foreign}\": is it the table of circuits?\n"
            );
        }
        Err(why) => {
            let why = shown(&why);
            text += &format!(
                "`list`, `watch` and `dashboard` do not work with these credentials, which is as it should be for a process; `show`, `hold` and `release` work by name ({why})\n"
            );
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_is_told_and_harmless() {
        assert_eq!(
            found_good("circuits", &[], Ok(None)),
            "table \"circuits\" is as circuits need it\n"
        );
        let text = found_good("circuits", &["time-to-live: \u{1b}[2Jdenied".to_owned()], Ok(None));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "table \"circuits\" is as circuits need it, as far as it was checked",
                "time-to-live: \\u{1b}[2Jdenied",
            ]
        );
    }
}
