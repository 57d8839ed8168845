//! The page, and what of a block may differ from run to run.
#![expect(clippy::string_slice, reason = "every place was found in its text")]

use std::{
    env, fs,
    ops::Range,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// One test at a time writes.
static WRITING: Mutex<()> = Mutex::new(());

/// A longer line is folded: it would scroll in the guide.
const COLUMNS: usize = 100;

/// The digits of a token.
const TOKEN: usize = 32;

/// What was printed in one situation, block by block.
pub(super) struct Scene {
    heading: &'static str,
    blocks: Vec<String>,
}

impl Scene {
    pub(super) fn new(heading: &'static str) -> Self {
        Self { heading, blocks: Vec::new() }
    }

    /// Adds a block.
    pub(super) fn block(&mut self, text: impl AsRef<str>) {
        self.blocks.push(folded(text.as_ref()));
    }

    /// Checks that the page shows these blocks under its heading, or has it show them.
    pub(super) fn matches_the_page(self) {
        let guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = text();
        let places = blocks(&page, self.heading);
        assert_eq!(places.len(), self.blocks.len(), "blocks under {:?}", self.heading);
        let is_same = |(place, block): &(&Range<usize>, &String)| {
            lasting(&page[(*place).clone()]) == lasting(block)
        };
        let is_old = !places.iter().zip(&self.blocks).all(|both| is_same(&both));
        if is_old && env::var("FUSEBOARD_PAGES").is_ok_and(|value| value == "write") {
            // All of them, so that the times of a scene fit together.
            for (place, block) in places.into_iter().zip(&self.blocks).rev() {
                page.replace_range(place, block);
            }
            fs::write(path(), page).unwrap();
            return;
        }
        drop(guard);
        for (place, block) in places.iter().zip(&self.blocks) {
            assert!(
                is_same(&(place, block)),
                "the page is old under {:?}: run this test with FUSEBOARD_PAGES=write\n\
                 the page has:\n{}\nprinted was:\n{block}",
                self.heading,
                &page[place.clone()]
            );
        }
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md")
}

pub(super) fn text() -> String {
    fs::read_to_string(path()).unwrap()
}

/// The headings under which blocks are played, in order.
pub(super) fn played_headings(page: &str) -> Vec<&str> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("# "));
    headings.filter(|heading| !blocks(page, heading).is_empty()).collect()
}

/// Where the blocks under a heading are that are played.
fn blocks(page: &str, heading: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut is_under, mut is_played, mut start) = (false, None, 0);
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        let next = at + line.len();
        match (line.trim_end().strip_prefix("```"), is_played) {
            (Some(language), None) => {
                is_played = Some(["console", "text"].contains(&language));
                start = next;
            }
            (Some(_), Some(was_played)) => {
                if was_played && is_under {
                    found.push(start..at);
                }
                is_played = None;
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("# ") {
                    is_under = title.trim_end() == heading;
                }
            }
            (None, Some(_)) => {}
        }
        at = next;
    }
    found
}

/// Lines of at most so many columns, where spaces allow it.
fn folded(text: &str) -> String {
    let mut folded = String::new();
    for line in text.lines() {
        let mut rest = line;
        while rest.chars().count() > COLUMNS {
            let end = rest.char_indices().nth(COLUMNS).map_or(rest.len(), |(place, _)| place);
            let Some(space) = rest[..end].rfind(' ').filter(|space| *space > 0) else { break };
            folded += rest[..space].trim_end();
            folded.push('\n');
            rest = &rest[space + 1..];
        }
        folded += rest;
        folded.push('\n');
    }
    folded
}

/// A text without what differs from run to run: times, tokens, ports, how wide columns are.
fn lasting(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(lasting_word).collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut place = 0;
    while let Some(word) = words.get(place) {
        let length = length_of_time(&words[place..]);
        let next = words.get(place + length).map(String::as_str);
        let is_ahead = length > 0 && kept.last() == Some(&"in");
        let is_past = length > 0 && matches!(next, Some("ago" | "ahead"));
        // How often a process tries while the store is out is a matter of time.
        let is_tried = kept.last().is_some_and(|last| last.starts_with("fuseboard_store_faults_"));
        if is_ahead {
            kept.pop();
            kept.push("<ahead>");
            place += length;
        } else if is_past || word == "now" {
            kept.push("<past>");
            place += length.max(1) + usize::from(is_past);
        } else {
            kept.push(if is_tried { "<count>" } else { word });
            place += 1;
        }
    }
    kept.join(" ")
}

/// How many of the first words are a length of time: `40 s`, `1 h 30 min`.
fn length_of_time(words: &[String]) -> usize {
    let is_part = |pair: &[String]| {
        let is_number = pair[0].chars().all(|letter| letter.is_ascii_digit());
        is_number && ["s", "min", "h", "d"].contains(&&*pair[1])
    };
    let parts = words.chunks_exact(2).take(2).take_while(|pair| is_part(pair)).count();
    parts * 2
}

fn lasting_word(word: &str) -> String {
    let core = word.trim_matches(['(', ')', ',', ';', ':']);
    if core.len() >= 20 && core.ends_with('Z') && core.as_bytes().get(10) == Some(&b'T') {
        return "<time>".to_owned();
    }
    if let Some(until) = core.strip_prefix("hold_until=")
        && until.chars().all(|digit| digit.is_ascii_digit())
    {
        return "hold_until=<time>".to_owned();
    }
    if let Some(word) = without_token(core) {
        return word;
    }
    match core.split_once("127.0.0.1:") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}<address>{after}")
        }
        None => core.to_owned(),
    }
}

/// A word with a token of a lease, without it.
fn without_token(word: &str) -> Option<String> {
    let is_hex = |letter: char| letter.is_ascii_hexdigit();
    let start = word.char_indices().map(|(place, _)| place).find(|place| {
        word[*place..].chars().take_while(|letter| is_hex(*letter)).count() >= TOKEN
    })?;
    let rest = word[start..].trim_start_matches(is_hex);
    Some(format!("{}<token>{rest}", &word[..start]))
}

#[test]
fn what_differs_from_run_to_run_is_left_out_and_the_rest_is_not() {
    let first = "db  OPEN  2 min ago  in 59 s\n(2026-11-30T12:00:00Z) task-7/0123456789abcdef0123456789abcdef";
    let again = "db OPEN now in 1 h 2 min 2027-01-01T00:00:00.123456Z task-7/fedcba9876543210fedcba9876543210";
    assert_eq!(lasting(first), "db OPEN <past> <ahead> <time> task-7/<token>");
    assert_eq!(lasting(first), lasting(again));
    let owner = "Some(\"task-7/0123456789abcdef0123456789abcdef\"),";
    assert_eq!(lasting(owner), "Some(\"task-7/<token>\"");
    assert_ne!(lasting("3 failures"), lasting("4 failures"));
    assert_eq!(lasting("hold_until=1764516722"), "hold_until=<time>");
    assert_eq!(lasting("every 2 s, at http://127.0.0.1:80/"), "every 2 s at http://<address>/");
}

#[test]
fn a_block_is_found_under_its_heading_alone() {
    let page = "# a\n```console\n$ x\n```\n```json\n{}\n```\n# b\n```text\n# c\n```\n";
    let found =
        |heading| blocks(page, heading).into_iter().map(|place| &page[place]).collect::<Vec<_>>();
    assert_eq!(found("a"), ["$ x\n"]);
    assert_eq!(found("b"), ["# c\n"]);
    assert_eq!(played_headings(page), ["a", "b"]);
    assert_eq!(
        folded(&"word ".repeat(25)),
        format!("{}\n{}\n", "word ".repeat(20).trim_end(), "word ".repeat(5))
    );
}
