//! `docs/cases.md` lists what can be observed, by numbers that the tests carry in their names.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

use super::root;

const LIST: &str = "docs/cases.md";
const NOT_BUILT: &str = "not built yet";

/// The numbers that stand first in a test's name: one after `case_`, several after `cases_`.
fn numbers(name: &str) -> Vec<u32> {
    let in_turn = |words: &str, most| {
        let words = words.split('_').filter(|word| *word != "and").take(most);
        words.map_while(|word| word.parse().ok()).collect()
    };
    match (name.strip_prefix("case_"), name.strip_prefix("cases_")) {
        (Some(words), _) => in_turn(words, 1),
        (_, Some(words)) => in_turn(words, usize::MAX),
        (None, None) => Vec::new(),
    }
}

/// The tests of each case, as documents name them: of those in one module that carry the
/// same number alone, their common beginning.
#[derive(Default)]
struct Tests(BTreeMap<u32, BTreeSet<String>>);

impl Tests {
    fn find() -> Self {
        let mut tests = Self::default();
        tests.find_in(&root().join("src"), "");
        tests.find_in(&root().join("tests"), "");
        tests.find_in(&root().join("examples/lambda/tests"), "");
        tests.find_in(&root().join("cli/tests"), "");
        tests.find_in(&root().join("examples/prometheus/tests"), "prometheus");
        assert!(tests.0.len() > 80, "{} cases have tests", tests.0.len());
        tests
    }

    fn find_in(&mut self, folder: &Path, module: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            // Tests of `tests/it` are named without it.
            let inner = match (module, name) {
                ("", "it") => String::new(),
                ("", name) => name.to_owned(),
                // Where a package has its modules is not part of their names.
                (module, "src") => module.to_owned(),
                (module, name) => format!("{module}::{name}"),
            };
            if path.is_dir() {
                self.find_in(&path, &inner);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                self.note(&fs::read_to_string(&path).unwrap(), &inner);
            }
        }
    }

    fn note(&mut self, source: &str, module: &str) {
        for after in source.split("fn case").skip(1) {
            let name = format!("case{}", after.split(['(', '<']).next().unwrap());
            let numbers = numbers(&name);
            for number in &numbers {
                let test = match numbers.as_slice() {
                    [_] => format!("`{module}::case_{number}_…`"),
                    _ => format!("`{module}::{name}`"),
                };
                self.0.entry(*number).or_default().insert(test);
            }
        }
    }

    fn of(&self, number: u32) -> Option<String> {
        let tests = self.0.get(&number)?;
        Some(tests.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// A row of the list: its number, what it says, and its tests.
fn row(line: &str) -> Option<(u32, &str, &str)> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let number = cells.next()?.parse().ok()?;
    Some((number, cells.next()?, cells.next()?))
}

/// Sets the last column to the tests that are there.
fn rewritten(list: &str, tests: &Tests) -> String {
    let mut text = String::new();
    for line in list.lines() {
        if let Some((number, what, before)) = row(line) {
            let now = tests.of(number).unwrap_or_else(|| NOT_BUILT.to_owned());
            assert!(now != NOT_BUILT || before == NOT_BUILT, "no test is left of case {number}");
            text += &format!("| {number} | {what} | {now} |\n");
        } else {
            text += &format!("{line}\n");
        }
    }
    text
}

#[test]
fn every_case_that_is_held_names_tests_and_every_test_a_case() {
    let tests = Tests::find();
    let path = root().join(LIST);
    let mut list = fs::read_to_string(&path).unwrap();
    if env::var("FUSEBOARD_CASES").is_ok_and(|value| value == "write") {
        list = rewritten(&list, &tests);
        fs::write(&path, &list).unwrap();
    }
    let mut listed = BTreeSet::new();
    for (number, _, named) in list.lines().filter_map(row) {
        assert!(listed.insert(number), "{LIST} has case {number} twice");
        if named == NOT_BUILT {
            continue;
        }
        let there = tests.0.get(&number).cloned().unwrap_or_default();
        for test in named.split(", ") {
            assert!(there.contains(test), "{LIST}, case {number}: {test} is not there");
        }
    }
    assert!(listed.len() > 190, "{} cases are listed", listed.len());
    for (number, named) in &tests.0 {
        assert!(listed.contains(number), "{LIST} has no case {number}, but {named:?}");
    }
}

#[test]
fn a_number_in_the_name_of_a_test_is_the_number_of_a_case() {
    assert_eq!(numbers("case_11_64_calls_in_flight_that_fail_make_one_trip"), [11]);
    assert_eq!(numbers("cases_31_and_39_an_expired_lease"), [31, 39]);
    assert_eq!(numbers("cases_63_64_and_67_callers"), [63, 64, 67]);
    assert!(numbers("cases_of_another_kind").is_empty());
    assert!(numbers("a_case_7").is_empty());
}
