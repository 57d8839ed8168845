//! The tables of the documentation fit a narrow window.
//!
//! rustdoc shows a table that is too wide in a box that scrolls, and on a telephone nothing tells
//! that it does: what lies beyond the edge is not read.

use std::fs;

use super::root;

/// How many letters fit side by side in a window of 500 pixels: 446 are left for a table, and a
/// letter of code takes 8.4.
const LETTERS: usize = 53;

/// The padding and the border of a cell, in letters.
const PADDING: usize = 2;

/// The text of a cell as it is shown: of a link, its text.
fn shown(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, link)) = rest.split_once("](") {
        text += before;
        rest = link.split_once(')').map_or("", |(_address, after)| after);
    }
    (text + rest).replace(['[', '`', '*'], "")
}

/// The letters of the longest part that no line can break. Code breaks at spaces alone.
fn longest_word(cell: &str) -> usize {
    let text = shown(cell);
    let words = text.split_whitespace().flat_map(|word| word.split_inclusive('-'));
    words.map(|word| word.chars().count()).max().unwrap_or(0)
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

/// The pages of the guide, and the sources, whose comments rustdoc shows.
fn pages() -> Vec<(String, String)> {
    let guide = fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let included = guide.split("include_str!(\"../").skip(1);
    let mut pages: Vec<_> = included
        .map(|page| page.split('"').next().unwrap().to_owned())
        .map(|page| (page.clone(), fs::read_to_string(root().join(page)).unwrap()))
        .collect();
    assert!(pages.len() > 15, "{} pages were found", pages.len());
    pages.push(("the sources".to_owned(), super::all_tests(&root().join("src"))));
    pages
}

#[test]
fn every_table_of_the_documentation_fits_a_narrow_window() {
    let mut too_wide = Vec::new();
    for (page, text) in pages() {
        for (header, width) in tables(&text) {
            if width > LETTERS {
                too_wide.push(format!("{page}: {width} letters: {header}"));
            }
        }
    }
    assert!(too_wide.is_empty(), "wider than {LETTERS} letters:\n{}", too_wide.join("\n"));
}

#[test]
fn a_table_is_as_wide_as_its_longest_words() {
    let narrow = "| a | b |\n|---|---|\n| one or two | [`three`](crate::a::long::path) |\n";
    assert_eq!(tables(narrow), [("| a | b |".to_owned(), 3 + PADDING + 5 + PADDING)]);
    let wide = "//! | `a_name_of_twenty_six_lett` |\n//! |---|\n";
    assert_eq!(tables(wide)[0].1, 25 + PADDING);
    assert_eq!(longest_word("orders-db"), 7);
}
