//! The sources themselves: which module may know which, and what only one may do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The layer of every module at the root of the crate. A module may use those
/// of its own layer and of the layers below.
const LAYERS: &[(&str, u8)] = &[
    // 0: values.
    ("answer", 0),
    ("classifier", 0),
    ("config", 0),
    ("error", 0),
    ("health", 0),
    ("panics", 0),
    ("moment", 0),
    ("name", 0),
    ("outcome", 0),
    ("record", 0),
    ("state", 0),
    ("transition", 0),
    // 1: the machine.
    ("counting", 1),
    ("machine", 1),
    // 2: the store.
    ("store", 2),
    // 3: the actor, and what the hot path reads of it.
    ("actor", 3),
    ("circuit", 3),
    ("clock", 3),
    ("ending", 3),
    ("gate", 3),
    ("grant", 3),
    ("heartbeat", 3),
    ("log", 3),
    // Above the machine, which must not count.
    ("metrics", 3),
    ("queue", 3),
    ("reachability", 3),
    ("slots", 3),
    ("sync", 3),
    // 4: what users hold.
    ("breaker", 4),
    ("guide", 4),
    ("permit", 4),
    ("registry", 4),
    ("subscription", 4),
];

/// What a module may not mention, unless its path begins with one of the others.
const ABSENCES: &[(&str, &[&str])] = &[
    ("Instant::now(", &["clock.rs"]),
    ("SystemTime::now(", &["clock.rs"]),
    ("clock_gettime(", &["clock.rs"]),
    ("spawn_on(", &["registry.rs"]),
    ("tokio::spawn", &[]),
    // A loading of credentials has to outlive the operation that began it.
    (".spawn(async", &["store/dynamodb/credentials.rs"]),
    ("spawn_blocking", &[]),
    ("Handle::try_current", &["clock.rs", "registry/", "store/dynamodb/credentials.rs"]),
    ("thread::spawn", &[]),
    ("thread::Builder", &["gate/tests/loom.rs", "heartbeat.rs", "slots/tests.rs"]),
    ("aws_", &["store/dynamodb"]),
    // Code of others is called where its panics are caught.
    ("tracing::", &["log.rs", "store/dynamodb"]),
    ("catch_unwind", &["clock.rs", "panics.rs"]),
    ("counter!(", &["metrics/"]),
    ("gauge!(", &["metrics/"]),
    ("unsafe ", &[]),
];

/// Where there is a lock; none guards a circuit's state. That of a circuit is the
/// counting's, which only failing calls, probes that end and the actor take.
const LOCKS: &[&str] = &[
    "circuit/counted.rs",
    "heartbeat.rs",
    "queue.rs",
    "reachability.rs",
    "registry.rs",
    "store/dynamodb/credentials.rs",
    "store/dynamodb/date.rs",
    "store/memory.rs",
];

/// What the machine may not know of, beside the layers above it.
const NOT_IN_THE_MACHINE: &[&str] =
    &["tokio", "flume", "tracing::", "arc_swap", "futures", ".await", "async ", "_ =>"];

/// One source file: its path below `src/`, and its lines without comments,
/// without documentation, and without its unit tests.
struct Source {
    path: String,
    lines: Vec<String>,
    length: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 20, "the sources are where they were");
    files.iter().map(|file| read(&root, file)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(root: &Path, file: &Path) -> Source {
    let text = fs::read_to_string(file).unwrap();
    let path = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    let code = without_tests(&text);
    let code = code.iter().map(|line| line.split("//").next().unwrap_or_default().to_owned());
    Source { length: text.lines().count(), lines: code.collect(), path }
}

/// The lines of a file without its items under `#[cfg(test)]`: one line, or a
/// block up to the brace that closes it at the margin.
fn without_tests(text: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push(line);
        } else if lines.next().is_some_and(|item| item.ends_with('{')) {
            lines.find(|line| *line == "}");
        }
    }
    kept
}

impl Source {
    /// Whether the file holds tests and nothing else.
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The module at the root of the crate that the file belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// The modules at the root of the crate that the file names.
    fn uses(&self) -> Vec<String> {
        let code = self.lines.join("\n");
        let mut used = Vec::new();
        for path in code.split("crate::").skip(1) {
            if let Some(group) = path.strip_prefix('{') {
                used.extend(heads(group));
            } else {
                used.push(identifier(path));
            }
        }
        used
    }
}

/// The first names of the paths in a group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut at_head = true;
    for (position, letter) in group.char_indices() {
        match letter {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            letter if at_head && letter.is_alphabetic() => {
                heads.push(identifier(group.get(position..).unwrap()));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

fn layers() -> BTreeMap<&'static str, u8> {
    LAYERS.iter().copied().collect()
}

#[test]
fn every_module_has_a_layer_and_knows_only_what_lies_below() {
    let layers = layers();
    let mut upward = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs" && !source.is_test()) {
        let Some(own) = layers.get(source.module()) else {
            panic!("src/{} has no layer: list it, as low as it can be", source.path);
        };
        for used in source.uses() {
            // What is no module is re-exported by lib.rs, for users.
            match layers.get(used.as_str()) {
                // A store knows of values only, and nothing of the machine.
                Some(1) if *own == 2 => {
                    upward.push(format!("src/{} uses crate::{used}", source.path));
                }
                Some(layer) if layer <= own => {}
                _ => upward.push(format!("src/{} uses crate::{used}", source.path)),
            }
        }
    }
    assert!(upward.is_empty(), "dependencies that do not point down: {upward:#?}");
}

#[test]
fn the_reader_of_sources_skips_tests_and_nothing_else() {
    let text =
        "mod a;\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\nmod c {\n    d\n}\nfn e() {}";
    assert_eq!(without_tests(text), ["mod a;", "use b;", "fn e() {}"]);
}

#[test]
fn every_layer_names_a_module_that_is_there() {
    let sources = sources();
    for (module, _) in LAYERS {
        assert!(sources.iter().any(|source| source.module() == *module), "no module {module}");
    }
}

#[test]
fn clocks_are_read_tasks_spawned_and_aws_named_in_one_place_each() {
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            for (absent, places) in ABSENCES {
                let allowed = places.iter().any(|place| source.path.starts_with(place));
                let is_there = line.contains(absent) && !allowed;
                assert!(!is_there, "src/{}:{}: {absent}", source.path, number + 1);
            }
        }
    }
}

#[test]
fn locks_are_in_eight_places_and_none_guards_the_state_of_a_circuit() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let is_lock = |line: &String| line.contains("Mutex<") || line.contains("RwLock<");
        found.extend(source.lines.iter().filter(|line| is_lock(line)).map(|_| source.path.clone()));
    }
    assert_eq!(found, LOCKS);
}

#[test]
fn the_machine_is_pure_and_total() {
    let is_pure = |source: &&Source| ["machine", "counting"].contains(&source.module());
    for source in sources().iter().filter(is_pure) {
        for (number, line) in source.lines.iter().enumerate().filter(|_| !source.is_test()) {
            for absent in NOT_IN_THE_MACHINE {
                let at = format!("src/{}:{}", source.path, number + 1);
                assert!(!line.contains(absent), "{at} mentions {absent}");
            }
        }
    }
}

#[test]
fn files_are_short_and_modules_are_named_after_what_they_are() {
    for source in sources() {
        assert!(source.length <= 500, "src/{} has {} lines", source.path, source.length);
        assert!(!source.path.ends_with("mod.rs"), "src/{}", source.path);
        assert_ne!(source.module(), "core");
    }
}
