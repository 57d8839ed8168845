//! The sources themselves: which module may know which, and what only one may do.

use std::{
    fs,
    iter::Peekable,
    path::{Path, PathBuf},
    str::Chars,
};

/// Which layer the files are of whose paths begin like this; the longest that fits
/// counts. A file may use what is of its own layer and of the layers below.
const LAYERS: &[(&str, u8)] = &[
    // 0: values, and what a record and an operation on it are.
    ("classifier", 0),
    ("config", 0),
    ("error", 0),
    ("hold", 0),
    ("limit", 0),
    ("name", 0),
    ("outcome", 0),
    ("panics", 0),
    ("protocol/", 0),
    ("reason", 0),
    ("snapshot", 0),
    ("state", 0),
    ("transition", 0),
    // 1: what one process decides.
    ("protocol/counting", 1),
    ("protocol/machine", 1),
    // 2: the store.
    ("store", 2),
    // 3: tasks, atomics, and the clock that they read.
    ("clock", 3),
    ("runtime/", 3),
    // 4: what users hold.
    ("breaker", 4),
    ("guide", 4),
    ("permit", 4),
    ("registry", 4),
    ("subscription", 4),
    // 5: what carries them into other libraries.
    ("aws", 5),
    ("tower", 5),
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
    // A file is read by no call, and by no actor.
    ("fs::", &["registry/following.rs", "runtime/metrics/tests/"]),
    ("thread::spawn", &[]),
    (
        "thread::Builder",
        &["runtime/gate/tests/loom.rs", "runtime/heartbeat.rs", "runtime/slots/tests.rs"],
    ),
    ("aws_", &["aws.rs", "aws/", "store/dynamodb"]),
    // Code of others is called where its panics are caught.
    ("tracing::", &["runtime/log.rs", "store/dynamodb"]),
    ("catch_unwind", &["clock.rs", "panics.rs"]),
    ("counter!(", &["runtime/metrics/"]),
    ("gauge!(", &["runtime/metrics/"]),
    ("histogram!(", &["runtime/metrics/"]),
    ("unsafe ", &[]),
];

/// Where there is a lock; none guards a circuit's state. That of a circuit is the
/// counting's, which only failing calls, probes that end and the actor take.
const LOCKS: &[&str] = &[
    "registry.rs",
    "runtime/circuit/counted.rs",
    "runtime/heartbeat.rs",
    "runtime/queue.rs",
    "runtime/reachability.rs",
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
    /// Whether the file says which modules there are, and nothing else.
    fn is_root(&self) -> bool {
        ["lib.rs", "protocol.rs", "runtime.rs"].contains(&self.path.as_str())
    }

    /// Whether the file holds tests and nothing else.
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The modules that the file names, each as the path of a file: `protocol/machine`.
    fn uses(&self) -> Vec<String> {
        let code = self.lines.join("\n");
        let paths =
            code.split("crate::").skip(1).flat_map(|path| expanded(&mut path.chars().peekable()));
        paths.map(|path| path.join("/")).collect()
    }
}

/// The paths that begin here, each without what is in it: `a::{b::C, d}` is `a/b/C` and `a/d`.
fn expanded(rest: &mut Peekable<Chars<'_>>) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    loop {
        if rest.next_if_eq(&'{').is_some() {
            let mut paths = Vec::new();
            loop {
                while rest.next_if(|letter| letter.is_whitespace() || *letter == ',').is_some() {}
                if rest.peek().is_none() || rest.next_if_eq(&'}').is_some() {
                    return paths;
                }
                let ends = expanded(rest);
                paths.extend(ends.into_iter().map(|end| [path.clone(), end].concat()));
                // A glob's star, or `as` and a name.
                while rest.next_if(|letter| !",}".contains(*letter)).is_some() {}
            }
        }
        let is_part = |letter: &char| letter.is_alphanumeric() || *letter == '_';
        path.push(std::iter::from_fn(|| rest.next_if(is_part)).collect());
        if rest.next_if_eq(&':').is_none() || rest.next_if_eq(&':').is_none() {
            return vec![path];
        }
    }
}

/// The layer of a file, or of what lies in one.
fn layer_of(path: &str) -> Option<u8> {
    let fits = |prefix: &str| {
        let rest = path.strip_prefix(prefix)?;
        (prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '.']))
            .then_some(prefix.len())
    };
    let fitting = LAYERS.iter().filter_map(|(prefix, layer)| Some((fits(prefix)?, *layer)));
    fitting.max().map(|(_, layer)| layer)
}

#[test]
fn every_module_has_a_layer_and_knows_only_what_lies_below() {
    let mut upward = Vec::new();
    for source in sources().iter().filter(|source| !source.is_root() && !source.is_test()) {
        let Some(own) = layer_of(&source.path) else {
            panic!("src/{} has no layer: list it, as low as it can be", source.path);
        };
        for used in source.uses() {
            // What is no module is re-exported by lib.rs, for users.
            match layer_of(&used) {
                // A store knows of values only, and nothing of the machine.
                Some(1) if own == 2 => upward.push(format!("src/{} uses {used}", source.path)),
                Some(layer) if layer <= own => {}
                _ => upward.push(format!("src/{} uses {used}", source.path)),
            }
        }
    }
    assert!(upward.is_empty(), "dependencies that do not point down: {upward:#?}");
}

/// Each file with the files that it imports from: a folder's own files know each other.
fn imports() -> Vec<(String, Vec<String>)> {
    let sources: Vec<_> = sources().into_iter().filter(|source| !source.is_test()).collect();
    let module = |source: &Source| source.path.trim_end_matches(".rs").to_owned();
    let modules: Vec<_> = sources.iter().map(module).collect();
    let is_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let imported = |own: &str, source: &Source| {
        let uses = source.uses();
        let files = uses.iter().filter_map(|used| {
            modules
                .iter()
                .filter(|module| is_within(used, module))
                .max_by_key(|module| module.len())
        });
        let others = files.filter(|file| !is_within(own, file) && !is_within(file, own));
        others.cloned().collect()
    };
    sources.iter().map(|source| (module(source), imported(&module(source), source))).collect()
}

#[test]
fn no_files_import_from_each_other_in_a_circle() {
    let mut left = imports();
    assert!(left.iter().any(|(_, imported)| !imported.is_empty()), "imports are found");
    // Takes away what imports nothing that is left, until that changes nothing.
    loop {
        let names: Vec<_> = left.iter().map(|(name, _)| name.clone()).collect();
        let before = left.len();
        left.retain(|(_, imported)| imported.iter().any(|file| names.contains(file)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "these import from each other in a circle, or from such: {left:#?}");
}

#[test]
fn the_reader_of_paths_knows_groups() {
    let paths = expanded(&mut "{a::{b::C, d}, e::*, f as g, h}; i::j".chars().peekable());
    let paths: Vec<_> = paths.into_iter().map(|path| path.join("/")).collect();
    assert_eq!(paths, ["a/b/C", "a/d", "e/", "f", "h"]);
    assert_eq!(layer_of("protocol/machine/phase.rs"), Some(1));
    assert_eq!(layer_of("protocol/moment/Moment"), Some(0));
    assert_eq!(layer_of("stores.rs"), None);
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
    for (prefix, _) in LAYERS {
        assert!(sources.iter().any(|source| source.path.starts_with(prefix)), "no file {prefix}");
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
    let is_pure = |source: &&Source| source.path.starts_with("protocol/");
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
        assert!(!source.path.contains("core"), "src/{}", source.path);
    }
}
