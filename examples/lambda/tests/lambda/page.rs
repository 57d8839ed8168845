//! The page of the guide shows what the function does.

use std::{fs, path::Path};

/// Words on one line, whatever line they were broken into.
fn words(text: &str) -> String {
    // Where a line is too long for the page, the function has a comment.
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_code_of_the_page_is_that_of_the_function() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(package.join("../../docs/lambda.md")).unwrap();
    let sources = fs::read_dir(package.join("src")).unwrap();
    let function: String =
        sources.map(|file| words(&fs::read_to_string(file.unwrap().path()).unwrap())).collect();
    let blocks: Vec<_> = page.split("```rust,ignore\n").skip(1).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let code = block.split("```").next().unwrap();
        assert!(function.contains(&words(code)), "not in the function: {code}");
    }
}
