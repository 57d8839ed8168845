//! A table that is redrawn in place, for somebody who leaves it open.

use std::time::{Duration, SystemTime};

use super::{Look, Watch};
use crate::{
    circuit::Circuit,
    ending::Ending,
    grid,
    output::{self, Output, Room},
    table::Table,
    text::{cut, shown},
    time,
};

/// A screen of its own, so that what stood there before comes back; without a cursor.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

/// The size of a terminal that does not tell it.
const USUAL: Room = Room { columns: 80, rows: 24 };

/// What is on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    table: String,
    only_open: bool,
    interval: Duration,
    has_colours: bool,
    circuits: Vec<Circuit>,
    /// When the table last answered.
    as_of: Option<SystemTime>,
    /// Why the last look at it failed, if it did.
    error: Option<String>,
    /// What is said if the one circuit that is asked for has never had an item.
    missing: Option<String>,
    /// What is said if no circuit has one.
    nothing: Option<String>,
}

impl Screen {
    pub(super) fn open(table: &Table, watch: &Watch) -> Result<Self, Ending> {
        output::print(OPEN)?;
        Ok(Self {
            table: table.name.clone(),
            only_open: watch.only_open,
            interval: watch.interval,
            has_colours: Output::detect().has_colours,
            circuits: Vec::new(),
            as_of: None,
            error: None,
            missing: None,
            nothing: None,
        })
    }

    /// Leaves the terminal as it was, with the last picture under what stood there.
    pub(super) fn close(self) -> Result<(), Ending> {
        let mut text = CLOSE.to_owned();
        if self.as_of.is_some() {
            for line in self.frame(time::now(), output::room().unwrap_or(USUAL)) {
                text += &format!("{line}\n");
            }
        }
        output::print(&text)
    }

    pub(super) fn miss(&mut self, why: String) {
        self.missing = Some(why);
    }

    pub(super) fn show(&mut self, look: Look) -> Result<(), Ending> {
        self.take(look);
        self.draw()
    }

    fn take(&mut self, look: Look) {
        match look {
            Ok(found) => {
                (self.circuits, self.nothing) = (found.circuits, found.nothing);
                if !self.circuits.is_empty() {
                    self.missing = None;
                }
                self.as_of = Some(time::now());
                self.error = None;
            }
            Err(why) => self.error = Some(why),
        }
    }

    /// Draws all of it, over what was there.
    pub(super) fn draw(&self) -> Result<(), Ending> {
        let lines = self.frame(time::now(), output::room().unwrap_or(USUAL));
        output::print(&format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n")))
    }

    /// The lines of a picture that fits.
    fn frame(&self, now: SystemTime, room: Room) -> Vec<String> {
        let all = self.circuits.iter().filter(|one| !self.only_open || one.is_open(now));
        let (open, others): (Vec<_>, Vec<_>) = all.partition(|one| one.is_open(now));
        let circuits = open.len().saturating_add(others.len());
        let table = shown(&self.table);
        let count = format!("{} open of {circuits}", open.len());
        let mut lines = vec![cut(&format!("{count}  {table}"), room.columns), self.state(room)];
        let sorted = open.into_iter().chain(others);
        let mut rows = grid::lines(sorted, now, Some(room.columns), self.has_colours);
        let space = room.rows.saturating_sub(lines.len());
        if rows.len() > space {
            let kept = space.saturating_sub(1);
            let more = rows.len().saturating_sub(kept);
            rows.truncate(kept);
            rows.push(cut(&format!("… {more} more"), room.columns));
        }
        if circuits > 0 {
            lines.extend(rows);
        } else if self.as_of.is_some() {
            let empty = self.nothing.as_ref().or(self.missing.as_ref());
            let empty = empty.filter(|_| self.circuits.is_empty());
            let text = empty.map_or("no circuit is open", String::as_str);
            lines.push(cut(&shown(text), room.columns));
        }
        lines.truncate(room.rows);
        lines
    }

    /// How the table answers.
    fn state(&self, room: Room) -> String {
        let time = |at: SystemTime| time::rfc3339(time::seconds(at));
        let every = time::in_short(self.interval);
        let text = match (&self.error, self.as_of) {
            (Some(why), Some(as_of)) => format!("no answer since {}: {}", time(as_of), shown(why)),
            (Some(why), None) => format!("no answer yet: {}", shown(why)),
            (None, Some(as_of)) => format!("{}, every {every}; Ctrl-C ends", time(as_of)),
            (None, None) => "reading; Ctrl-C ends".to_owned(),
        };
        let text = cut(&text, room.columns);
        match self.error {
            Some(_) if self.has_colours => format!("\x1b[31m{text}\x1b[0m"),
            Some(_) | None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use fuseboard::store::{Attribute, Field, Record, Value};

    use super::{super::Found, *};
    use crate::text::width;

    fn circuit(name: &str, state: &str) -> Circuit {
        let mut record = Record::empty();
        record.set(Attribute::State, Field::Valid(Value::Text(state.into())));
        record.set(Attribute::FailureCount, Field::Valid(Value::Number(5)));
        record.set(Attribute::OpenedAt, Field::Valid(Value::Number(999_880)));
        Circuit { name: name.to_owned(), key: name.to_owned(), record }
    }

    fn screen(circuits: Vec<Circuit>) -> Screen {
        let as_of = Some(now());
        Screen {
            table: "CircuitBreakerState".to_owned(),
            only_open: false,
            interval: Duration::from_secs(2),
            has_colours: false,
            circuits,
            as_of,
            error: None,
            missing: None,
            nothing: None,
        }
    }

    fn now() -> SystemTime {
        time::moment("1970-01-12T13:46:40Z").unwrap()
    }

    #[test]
    fn open_circuits_come_first_with_their_age() {
        let screen = screen(vec![circuit("a", "CLOSED"), circuit("payment-backend", "OPEN")]);
        let lines = screen.frame(now(), Room { columns: 80, rows: 24 });
        assert_eq!(lines[0], "1 open of 2  CircuitBreakerState");
        assert_eq!(lines[1], "1970-01-12T13:46:40Z, every 2 s; Ctrl-C ends");
        assert_eq!(lines[2], "CIRCUIT          STATE   SINCE      UNTIL  WHY");
        assert_eq!(lines[3], "payment-backend  OPEN    2 min ago         5 failures");
        assert!(lines[4].starts_with("a                CLOSED"), "{lines:?}");
    }

    #[test]
    fn a_circuit_without_an_item_is_told_with_the_names_that_are_near() {
        let mut screen = screen(Vec::new());
        assert_eq!(screen.frame(now(), Room { columns: 80, rows: 24 })[2], "no circuit is open");
        screen.miss("no item of paymentt; did you mean payments?".to_owned());
        let lines = screen.frame(now(), Room { columns: 80, rows: 24 });
        assert_eq!(lines[2], "no item of paymentt; did you mean payments?");
        // What is another program's is no name that is missing.
        screen
            .take(Ok(Found { circuits: Vec::new(), nothing: Some("not a circuit's".to_owned()) }));
        assert_eq!(screen.frame(now(), Room { columns: 80, rows: 24 })[2], "not a circuit's");
        // It had one, which was deleted.
        let circuits = vec![circuit("paymentt", "CLOSED")];
        screen.take(Ok(Found { circuits, nothing: None }));
        screen.take(Ok(Found { circuits: Vec::new(), nothing: None }));
        assert_eq!(screen.frame(now(), Room { columns: 80, rows: 24 })[2], "no circuit is open");
    }

    #[test]
    fn a_picture_fits_any_terminal() {
        let names = ["payment-backend", "支払支払支払支払支払", "x", "a\u{1b}[2Jb"];
        let states = ["OPEN", "CLOSED", "HALF_OPEN", "AJAR"];
        let circuits: Vec<_> =
            (0..40).map(|number| circuit(names[number % 4], states[number / 4 % 4])).collect();
        let mut screen = screen(circuits);
        for error in [None, Some("scan in table: no answer in time\n\u{1b}[2J".to_owned())] {
            screen.error = error;
            for columns in 1..100 {
                for rows in [1, 2, 3, 5, 24, 60] {
                    let lines = screen.frame(now(), Room { columns, rows });
                    assert!(lines.len() <= rows, "{columns}x{rows}: {lines:#?}");
                    for line in &lines {
                        assert!(width(line) <= columns, "{columns}x{rows}: {line}");
                        assert!(!line.contains('\u{1b}'), "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn twenty_columns_have_room_for_name_and_state() {
        let screen = screen(vec![circuit("payment-backend", "HALF_OPEN"), circuit("db", "OPEN")]);
        let lines = screen.frame(now(), Room { columns: 20, rows: 10 });
        assert_eq!(lines[2..], ["CIRCUIT    STATE", "payment-…  HALF_OPEN", "db         OPEN"]);
    }

    #[test]
    fn a_table_that_is_longer_than_the_screen_says_so() {
        let circuits = (0..50).map(|number| circuit(&format!("c{number}"), "CLOSED")).collect();
        let lines = screen(circuits).frame(now(), Room { columns: 80, rows: 10 });
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[9], "… 44 more");
    }
}
