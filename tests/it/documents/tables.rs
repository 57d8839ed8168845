//! The tables of the documentation fit a narrow window.
//!
//! rustdoc shows a table that is too wide in a box that scrolls, and on a telephone nothing tells
//! that it does: what lies beyond the edge is not read.

use std::fs;

use super::root;

/// The room for a table in a window of 500 pixels, in tenths of a pixel.
const ROOM: usize = 4_460;

/// The padding and the border of a cell.
const PADDING: usize = 170;

/// A letter of code, and one of text: by the fonts of rustdoc.
const OF_CODE: usize = 96;
const OF_TEXT: usize = 76;

/// The text of a cell as it is shown: of a link, its text.
fn shown(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, link)) = rest.split_once("](") {
        text += before;
        rest = link.split_once(')').map_or("", |(_address, after)| after);
    }
    // `<wbr>` is where a long word may break.
    (text + rest).replace(['[', '*'], "").replace("<wbr>", " ")
}

/// The width of the longest part that no line can break: code breaks at spaces and hyphens too.
fn longest_word(cell: &str) -> usize {
    let (mut longest, mut word, mut is_code) = (0, 0, false);
    for letter in shown(cell).chars() {
        match letter {
            '`' => is_code = !is_code,
            letter if letter.is_whitespace() => word = 0,
            _ => word += if is_code { OF_CODE } else { OF_TEXT },
        }
        longest = longest.max(word);
        if letter == '-' {
            word = 0;
        }
    }
    longest
}

/// The narrowest that each table of a text can be, with the first words of the table.
fn tables(text: &str) -> Vec<(String, usize)> {
    let mut tables = Vec::new();
    let mut columns: Vec<usize> = Vec::new();
    let mut header = String::new();
    for line in text.lines().map(|line| line.trim_start_matches(['/', '!', ' '])).chain([""]) {
        let row = line.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|'));
        match row {
            Some(row) => {
                if columns.is_empty() {
                    header = line.to_owned();
                }
                for (place, cell) in row.split('|').enumerate() {
                    if place == columns.len() {
                        columns.push(0);
                    }
                    let is_rule = cell.chars().all(|letter| "-: ".contains(letter));
                    if !is_rule {
                        columns[place] = columns[place].max(longest_word(cell));
                    }
                }
            }
            None if !columns.is_empty() => {
                let width = columns.drain(..).map(|column| column + PADDING).sum();
                tables.push((header.clone(), width));
            }
            None => {}
        }
    }
    tables
}

/// The pages of the guide, and the sources whose comments rustdoc shows.
fn pages() -> Vec<(String, String)> {
    let guide = fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let included = guide.split("include_str!(\"../").skip(1);
    let mut pages: Vec<_> = included
        .map(|page| page.split('"').next().unwrap().to_owned())
        .map(|page| (page.clone(), fs::read_to_string(root().join(page)).unwrap()))
        .collect();
    assert!(pages.len() > 15, "{} pages were found", pages.len());
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // What rustdoc does not show.
        if !name.ends_with(".rs") && !["protocol", "runtime"].contains(&name.as_str()) {
            pages.push((format!("src/{name}"), super::all_tests(&path)));
        } else if path.is_file() {
            pages.push((format!("src/{name}"), fs::read_to_string(path).unwrap()));
        }
    }
    pages
}

#[test]
fn every_table_of_the_documentation_fits_a_narrow_window() {
    let mut too_wide = Vec::new();
    for (page, text) in pages() {
        for (header, width) in tables(&text) {
            if width > ROOM {
                too_wide.push(format!("{page}: {width}: {header}"));
            }
        }
    }
    assert!(too_wide.is_empty(), "wider than {ROOM}:\n{}", too_wide.join("\n"));
}

#[test]
fn a_table_is_as_wide_as_its_longest_words() {
    let narrow = "| a | b |\n|---|---|\n| one or two | [`three`](crate::a::long::path) |\n";
    let width = 3 * OF_TEXT + PADDING + 5 * OF_CODE + PADDING;
    assert_eq!(tables(narrow), [("| a | b |".to_owned(), width)]);
    let in_a_comment = "//! | `a_name_of_twenty_five_let` |\n//! |---|\n";
    assert_eq!(tables(in_a_comment)[0].1, 25 * OF_CODE + PADDING);
    assert_eq!(longest_word("orders-db"), 7 * OF_TEXT);
    assert_eq!(longest_word("at most `handoff`; more"), 7 * OF_CODE + OF_TEXT);
    assert_eq!(longest_word("permitted<wbr>Calls"), 9 * OF_TEXT);
}
