//! The files and folders that a document names are there.

use std::{fs, path::Path};

use super::root;

/// Documents that name files of the crate.
const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Where files are named without their folder: `record.rs`.
const FOLDERS: [&str; 7] = ["src", "tests", "examples", "benches", "cli", "docs", ".ci"];

/// Every file of the crate and every folder, as paths within it; folders end with a slash.
fn all() -> Vec<String> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        find_in(&root().join(folder), folder, &mut paths);
    }
    for entry in fs::read_dir(root()).unwrap() {
        paths.push(entry.unwrap().file_name().into_string().unwrap());
    }
    paths
}

fn find_in(folder: &Path, name: &str, paths: &mut Vec<String>) {
    paths.push(format!("{name}/"));
    // A packaged crate is without some of them.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let inner = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            find_in(&path, &inner, paths);
        } else {
            paths.push(inner);
        }
    }
}

/// Whether what stands between backticks can be nothing but a path within the crate.
fn is_path(code: &str) -> bool {
    let words = |letter: char| letter.is_ascii_alphanumeric() || "_-./*".contains(letter);
    let of_a_file = [".rs", ".md", ".svg", ".txt", ".toml"].iter().any(|end| code.ends_with(end));
    code.chars().all(words) && (code.contains('/') || of_a_file)
}

/// Whether a file or folder has this path, or a path that ends with it; `*` is anything.
fn exists(path: &str, all: &[String]) -> bool {
    let within = |there: &str, named: &str| match named.split_once('*') {
        Some((begins, ends)) => there
            .rsplit_once(begins)
            .is_some_and(|(before, after)| is_whole(before) && after.ends_with(ends)),
        None => there
            .trim_end_matches('/')
            .strip_suffix(named.trim_end_matches('/'))
            .is_some_and(is_whole),
    };
    all.iter().any(|there| within(there, path) && (there.ends_with('/') || !path.ends_with('/')))
}

/// Whether this is all that stands before the first name of a path.
fn is_whole(before: &str) -> bool {
    before.is_empty() || before.ends_with('/')
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let all = all();
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        // Commands of several lines are no names.
        for (place, part) in text.split("```").enumerate() {
            let named = part.split('`').skip(1).step_by(2).filter(|code| is_path(code));
            for path in named.filter(|_| place % 2 == 0) {
                assert!(exists(path, &all), "{document} names {path}");
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count} paths were found");
}

#[test]
fn a_path_that_is_not_there_is_noticed() {
    let all = all();
    assert!(exists("src/protocol/machine/", &all) && exists("protocol/machine.rs", &all));
    assert!(exists("src/protocol/machine/tests/table/*.txt", &all) && exists("machine.rs", &all));
    for missing in ["src/machine/", "src/machine/tests/table/*.txt", "achine.rs", "machine.rs/"] {
        assert!(!exists(missing, &all), "{missing}");
    }
}
