//! `docs/clients.md` shows code of programs that are run.

use std::fs;

use super::root;

/// The code of a text, without its indentation.
fn flat(code: &str) -> String {
    code.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_code_of_the_page_on_clients_is_that_of_the_examples() {
    let mut programs = String::new();
    for entry in fs::read_dir(root().join("examples/clients/src/bin")).unwrap() {
        programs += &flat(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let page = fs::read_to_string(root().join("docs/clients.md")).unwrap();
    let blocks = page.split("```rs\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.len() > 5, "{} blocks are found", blocks.len());
    for block in blocks {
        assert!(programs.contains(flat(block).trim_end()), "not in an example: {block}");
    }
}
