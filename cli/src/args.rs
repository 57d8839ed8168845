//! What the command line may ask for.

use std::time::{Duration, SystemTime};

use clap::{
    Parser, Subcommand, ValueHint,
    error::{ContextKind, ContextValue},
};
use clap_complete::Shell;
use fuseboard::CircuitName;

use crate::{dashboard::DashboardArgs, settings::SettingsVerb, text::cut, time};

/// The longest reason, and the longest name of who holds a circuit, in bytes: the library's.
const MOST_BYTES: usize = 1_024;

/// How much of a value that is refused is shown, in columns.
const SHOWN_COLUMNS: usize = 60;

/// Lists, watches, holds and releases the circuits of a fuseboard table.
///
/// Begin with `fuseboard list`: which circuits reject calls, since when, until when and why. It
/// changes nothing, nor do `show`, `watch` and `verify`.
///
/// Credentials and region are those of the environment, as for every AWS tool. `list`, `watch`
/// and `dashboard` need dynamodb:Scan on the table (dynamodb:Query with a sort key), the others
/// dynamodb:GetItem, and those that change a circuit dynamodb:UpdateItem.
#[derive(Debug, Parser)]
#[command(name = "fuseboard", version, max_term_width = 100, after_help = STATUSES)]
pub(crate) struct Args {
    /// Prints JSON: times in RFC 3339 and UTC.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) table: TableArgs,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const STATUSES: &str = "\
Examples:
  fuseboard list --open
  fuseboard show payments
  fuseboard hold payments --for 2h --reason 'bank is down, INC-77'
  fuseboard release payments

Exit status: 0 done; 1 failed; 2 the arguments make no sense; 3 no such circuit;
4 circuits are open (list --exit-code). What to do when: docs/runbook.md in the repository.";

/// The table, and how to reach it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Table")]
pub(crate) struct TableArgs {
    /// The table of the circuits.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "FUSEBOARD_TABLE",
        hide_env_values = true
    )]
    pub(crate) table: Option<String>,

    /// A profile of the AWS configuration, if not that of the environment (AWS_PROFILE).
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// A DynamoDB endpoint other than that of the region.
    #[arg(long, global = true, value_name = "URL", value_parser = endpoint, value_hint = ValueHint::Url)]
    pub(crate) endpoint_url: Option<String>,

    /// The AWS region, if not that of the environment.
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,

    /// What the registries put before the names of circuits, with its slash if it has one, as in
    /// `shop/`. Only circuits with it are listed, without it.
    #[arg(
        long,
        global = true,
        value_name = "TEXT",
        env = "FUSEBOARD_PREFIX",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) prefix: String,

    /// The table's partition key [default: id].
    #[arg(long, global = true, value_name = "ATTRIBUTE")]
    pub(crate) key_attr: Option<String>,

    /// The table's sort key, if the circuits' names are there.
    #[arg(long, global = true, value_name = "ATTRIBUTE")]
    pub(crate) sort_key_attr: Option<String>,

    /// The partition of the circuits in a table with a sort key.
    #[arg(long, global = true, value_name = "TEXT", requires = "sort_key_attr")]
    pub(crate) static_pk_value: Option<String>,

    /// Another name of an attribute, as in `--attr state=status`; may be repeated.
    #[arg(long, global = true, value_name = "NAME=ATTRIBUTE", value_parser = renamed)]
    pub(crate) attr: Vec<(String, String)>,

    /// The limit of each request.
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = timeout)]
    pub(crate) timeout: Duration,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists the circuits that have an item: a circuit that never tripped has none, and is closed.
    ///
    /// Those that reject calls come first. SINCE: when the outage began. UNTIL: when a call may
    /// probe, or when a hold or the lease of a prober ends; `next call probes` if that time has
    /// passed and no call has come, as nothing probes without calls. WHY: what opened the
    /// circuit, who probes it, or who holds it and why.
    List {
        /// Only those that reject calls: open, held open or half-open.
        #[arg(long)]
        open: bool,

        /// Exit status 4 if a circuit rejects calls: open, held open or half-open.
        #[arg(long)]
        exit_code: bool,
    },

    /// Shows all that the table has of a circuit.
    Show {
        /// The circuit's name, without the prefix.
        #[arg(value_name = "CIRCUIT", value_parser = circuit)]
        name: CircuitName,
    },

    /// Shows what changes, until Ctrl-C: a table that is redrawn, or lines where the output is no
    /// terminal.
    Watch {
        /// Only this circuit, which is read with dynamodb:GetItem.
        #[arg(value_name = "CIRCUIT", value_parser = circuit)]
        name: Option<CircuitName>,

        /// Only circuits that reject calls: open, held open or half-open.
        #[arg(long, conflicts_with = "name")]
        open: bool,

        /// How often the table is read; each time costs half a unit for 4 kB of it.
        #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
        interval: Duration,
    },

    /// Holds a circuit open in the whole fleet: every call is rejected.
    ///
    /// A process follows when it next reads the item, with traffic within 5 s by default. It
    /// replaces your own hold; that of somebody else only with --replace. At its end a call probes.
    Hold(HoldArgs),

    /// Holds a circuit closed in the whole fleet: every call runs, and failures trip nothing.
    ///
    /// For a breaker that is wrong, not for a dependency that is down: each call then waits for
    /// its own timeout. At its end failures trip as ever. Functions of Powertools (Python) do not
    /// know of it.
    Disable(HoldArgs),

    /// Closes a circuit now, without a probe: ends a hold of anybody, and says whose it was, or an
    /// opening.
    ///
    /// An open circuit closes by itself once its calls succeed. Closed too soon, it lets some
    /// calls of every process fail before it opens again.
    Release {
        /// The circuit's name, without the prefix.
        #[arg(value_name = "CIRCUIT", value_parser = circuit)]
        name: CircuitName,

        /// Who releases it, for the line that is printed: the item has no place for it.
        #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, value_parser = text)]
        by: Option<String>,

        /// Why, for the same line: at most 1,024 bytes.
        #[arg(long, value_name = "TEXT", value_parser = text)]
        reason: Option<String>,
    },

    /// Shows the circuits on a page for browsers, until Ctrl-C.
    Dashboard(DashboardArgs),

    /// Checks a file of settings that processes follow.
    Settings {
        #[command(subcommand)]
        verb: SettingsVerb,
    },

    /// Checks the table, its key and time-to-live, permissions, timeouts and the clock.
    ///
    /// Writes nothing. That these credentials may not list is told, and is no fault: those of a
    /// process may not.
    Verify,

    /// Creates the table, for development and tests: paid per request, with time-to-live.
    CreateTable,

    /// Prints what completes this command in a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// A hold.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HoldArgs {
    /// The circuit's name, without the prefix.
    #[arg(value_name = "CIRCUIT", value_parser = circuit)]
    pub(crate) name: CircuitName,

    #[command(flatten)]
    pub(crate) end: End,

    /// Why, for people who look: a ticket, and what is wrong. At most 1,024 bytes.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,

    /// Who holds the circuit; needed where USER is not set. At most 1,024 bytes.
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, value_parser = who)]
    pub(crate) by: Option<String>,

    /// Holds a circuit that has no item yet, too.
    #[arg(long)]
    pub(crate) new: bool,

    /// Holds a new circuit in a table that has only items of other programs, too.
    #[arg(long, requires = "new")]
    pub(crate) any_table: bool,

    /// Ends a hold of somebody else, which is refused otherwise.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// When a hold ends.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct End {
    /// For this long, as in `2h` or `1h30m`.
    #[arg(long = "for", value_name = "TIME", value_parser = time::length)]
    pub(crate) lasts: Option<Duration>,

    /// Until this time, as in `2030-01-31T14:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = future)]
    pub(crate) until: Option<SystemTime>,
}

/// The error with no more of a value than helps to find it: what is pasted may be a page.
pub(crate) fn shortened(mut error: clap::Error) -> clap::Error {
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => cut(value, SHOWN_COLUMNS),
        Some(_) | None => return error,
    };
    error.insert(ContextKind::InvalidValue, ContextValue::String(value));
    error
}

pub(crate) fn circuit(text: &str) -> Result<CircuitName, String> {
    CircuitName::new(text).map_err(|error| error.to_string())
}

fn endpoint(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && rest.chars().all(|one| one.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err("must be like http://localhost:8000 or https://host".to_owned()),
    }
}

fn renamed(text: &str) -> Result<(String, String), String> {
    let (name, attribute) = text.split_once('=').ok_or("must be like state=status")?;
    Ok((name.to_owned(), attribute.to_owned()))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let length = time::length(text)?;
    if (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&length) {
        Ok(length)
    } else {
        Err("must be from 100ms to 60s".to_owned())
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let length = time::length(text)?;
    if (Duration::from_millis(200)..=Duration::from_secs(86_400)).contains(&length) {
        Ok(length)
    } else {
        Err("must be from 200ms to 1d".to_owned())
    }
}

fn reason(given: &str) -> Result<String, String> {
    if given.trim().is_empty() {
        return Err("must say something".to_owned());
    }
    text(given)
}

fn who(given: &str) -> Result<String, String> {
    if given.trim().is_empty() {
        return Err("must name somebody".to_owned());
    }
    text(given)
}

pub(crate) fn text(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MOST_BYTES => Ok(text.to_owned()),
        bytes => Err(format!("must have at most 1,024 bytes, got {bytes}")),
    }
}

fn future(text: &str) -> Result<SystemTime, String> {
    let (now, until) = (time::now(), time::moment(text)?);
    match until.duration_since(now) {
        Ok(left) if left > time::LONGEST => Err("must be at most 365 days ahead".to_owned()),
        Ok(left) if !left.is_zero() => Ok(until),
        Ok(_) | Err(_) => {
            let distance = time::distance(now, time::seconds(until));
            Err(format!("must lie in the future; it was {distance}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn refused(line: &[&str]) -> String {
        let line = [&["fuseboard", "--table", "circuits"], line].concat();
        shortened(Args::try_parse_from(line).unwrap_err()).to_string()
    }

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn senseless_arguments_are_refused_with_what_to_write() {
        let long = "x".repeat(100_000);
        let soon = time::rfc3339(time::seconds(time::now()) + 60);
        for (line, told) in [
            (&["hold", "payments", "--reason", "x"][..], "<--for <TIME>|--until <TIME>>"),
            (&["hold", "payments", "--for", "2h"], "--reason"),
            (&["hold", "payments", "--for", "2", "--reason", "x"], "like 2h"),
            (&["hold", "payments", "--for", "2h", "--reason", " "], "must say something"),
            (
                &["hold", "payments", "--until", "2020-01-01T00:00:00Z", "--reason", "x"],
                "in the future",
            ),
            (&["hold", "payments", "--for", "1h", "--until", &soon], "cannot be used with"),
            (
                &["hold", "payments", "--for", "1h", "--reason", &long],
                "at most 1,024 bytes, got 100000",
            ),
            (&["hold", "", "--for", "1h", "--reason", "x"], "at least 1 byte"),
            (&["list", "--endpoint-url", "localhost:8000"], "like http://"),
            (&["list", "--endpoint-url", "http://"], "like http://"),
            (&["list", "--endpoint-url", "http://a b"], "like http://"),
            (&["list", "--attr", "state"], "like state=status"),
            (&["list", "--timeout", "1h"], "100ms to 60s"),
            (&["list", "--static-pk-value", "x"], "--sort-key-attr"),
            (&["watch", "--interval", "1ms"], "200ms to 1d"),
            (&["dashboard", "--interval", "1ms"], "200ms to 1h"),
            (&["dashboard", "--listen", "localhost"], "--listen"),
            (&["dashboard", "--host", "wall.example.com:80"], "without a port"),
            (&["lst"], "list"),
        ] {
            let error = refused(line);
            assert!(error.contains(told), "{line:?}: {error}");
            assert!(error.len() < 600, "{line:?}: {} bytes", error.len());
        }
    }
}
