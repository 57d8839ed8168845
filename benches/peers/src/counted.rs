//! Allocations of each call, counted by a program of their own.

use std::{error::Error, hint::black_box, path::Path, process::Command};

use crate::{column::Column, contest::Contest};

/// How many calls are counted.
const CALLS: u32 = 1_000;

/// What the program has counted.
pub(crate) struct Counted(Vec<(String, f64)>);

impl Counted {
    /// Runs the program.
    pub(crate) fn by(counter: &Path) -> Result<Self, Box<dyn Error>> {
        let ran = Command::new(counter).output()?;
        if !ran.status.success() {
            let why = String::from_utf8_lossy(&ran.stderr);
            return Err(format!("allocations could not be counted: {why}").into());
        }
        let lines = String::from_utf8(ran.stdout)?;
        let counted = lines.lines().map(|line| {
            let (of, count) = line.rsplit_once('\t').ok_or("no count")?;
            Ok::<_, Box<dyn Error>>((of.to_owned(), count.parse()?))
        });
        Ok(Self(counted.collect::<Result<_, _>>()?))
    }

    /// Allocations of each call.
    pub(crate) fn of(&self, name: &str, column: Column) -> Option<f64> {
        let wanted = key(name, column);
        self.0.iter().find(|(of, _)| *of == wanted).map(|(_, count)| *count)
    }
}

fn key(name: &str, column: Column) -> String {
    format!("{name}\t{column:?}")
}

/// Counts what the first user of each subject allocates, and prints it.
pub(crate) fn print(
    contest: &mut Contest,
    count: fn(&mut dyn FnMut()) -> u64,
) -> Result<(), Box<dyn Error>> {
    if count(&mut || drop(black_box(Box::new(7)))) != 1 {
        return Err("one allocation was not counted as one".into());
    }
    for (name, column, lane) in contest.lanes() {
        let mut good = 0;
        let counted = count(&mut || good = lane.run(CALLS));
        if good != CALLS {
            return Err(format!("{name}: {good} of {CALLS} calls went as they should").into());
        }
        let each = f64::from(u32::try_from(counted)?) / f64::from(CALLS);
        println!("{}\t{each}", key(name, column));
    }
    Ok(())
}
