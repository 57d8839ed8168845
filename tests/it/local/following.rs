//! A file of settings that is followed: real files, and time that a test moves.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fuseboard::{BreakerRegistry, CircuitState, MemoryStore, Settings, SpawnError};
use tracing::Level;

use crate::support::{
    log::Lines,
    memory::{Process, World, fail},
};

/// A folder of a test, empty at its start.
struct Folder(PathBuf);

impl Folder {
    fn of(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("following-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads lines such as `payment* 3`: a name or prefix and a threshold; `*` is every circuit.
fn parse(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::builder();
    for line in text.lines() {
        let (pattern, threshold) =
            line.split_once(' ').ok_or_else(|| format!("what is {line}?"))?;
        let threshold: u32 = threshold.parse().map_err(|_| format!("{threshold} is no number"))?;
        settings = settings.circuit(pattern, move |config| config.failure_threshold(threshold));
    }
    settings.build().map_err(|error| error.to_string())
}

fn following(world: &World, path: &Path) -> Process {
    world.process_with(|builder| builder.settings_file(path, parse).instance("task-42"))
}

fn threshold(process: &Process) -> u64 {
    process.breaker().config().failure_threshold().get()
}

/// Sleeps: to move the clock would not wait for a file that is being read.
async fn sleep(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Within which a change is taken: the time between two looks, a second, and some for reading.
const SOON: f64 = 6.1;

#[tokio::test(start_paused = true)]
async fn case_143_a_threshold_in_a_file_is_lowered_and_the_next_failure_trips() {
    let folder = Folder::of("lowered");
    let path = folder.join("settings");
    fs::write(&path, "payment* 5\n").unwrap();
    let process = following(&World::new(), &path);
    let breaker = process.breaker();
    for _ in 0..4 {
        assert!(fail(&breaker).await.is_err());
    }
    fs::write(&path, "payment* 3\n").unwrap();
    sleep(SOON).await;
    assert_eq!((threshold(&process), breaker.state()), (3, CircuitState::Closed));
    assert!(fail(&breaker).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_took_is_in_its_log() {
    let folder = Folder::of("log");
    let path = folder.join("settings");
    fs::write(&path, "payment* 5\n").unwrap();
    let lines = Lines::of(Level::INFO);
    let process = following(&World::new(), &path);
    let [first] = &lines.take_texts()[..] else { panic!("one line") };
    let checksum = Settings::checksum_of("payment* 5\n");
    assert!(first.contains(&format!("checksum={checksum} ")), "{first}");
    let _breakers = [process.breaker(), process.registry.breaker("mail").unwrap()];
    let text = "payment* 3\n";
    fs::write(&path, text).unwrap();
    sleep(SOON).await;
    let [changed, taken] = &lines.take_texts()[..] else { panic!("two lines") };
    let told = "circuit=payment-backend setting=\"failure_threshold\" old=5 new=3 \
                instance=\"task-42\"";
    assert!(changed.contains(told) && changed.contains("a setting has changed"), "{changed}");
    for told in [
        "the settings of a file are in force",
        &format!("path={}", path.display()),
        &format!("checksum={}", Settings::checksum_of(text)),
        "changed=1",
        "instance=\"task-42\"",
    ] {
        assert!(taken.contains(told), "{told}: {taken}");
    }
    sleep(60.0).await;
    assert_eq!(lines.take(), 0, "a file that stays is told once");
}

/// As a volume of a Kubernetes config map: the folder of the content is a link, and replaced.
#[tokio::test(start_paused = true)]
async fn a_file_behind_a_link_that_is_replaced_is_followed() {
    let folder = Folder::of("link");
    for (version, text) in [("..1", "payment* 5\n"), ("..2", "payment* 3\n")] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("settings"), text).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/settings", folder.join("settings")).unwrap();
    // Neither its age nor its length tells them apart.
    let aged = fs::File::open(folder.join("..2/settings")).unwrap();
    let first = fs::metadata(folder.join("..1/settings")).unwrap();
    aged.set_modified(first.modified().unwrap()).unwrap();
    let process = following(&World::new(), &folder.join("settings"));
    assert_eq!(threshold(&process), 5);
    symlink("..2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    fs::remove_dir_all(folder.join("..1")).unwrap();
    sleep(SOON).await;
    assert_eq!(threshold(&process), 3);
}

/// What is written so far reads as settings: those of no circuit.
#[tokio::test(start_paused = true)]
async fn the_first_half_of_a_file_is_not_taken() {
    let folder = Folder::of("half");
    let path = folder.join("settings");
    let (before, half, after) = ("mail 9\npayment* 7\n", "mail 9\n", "mail 9\npayment* 8\n");
    fs::write(&path, before).unwrap();
    let process = following(&World::new(), &path);
    let breaker = process.breaker();
    // Each place of the reads within the five seconds between them.
    for tenth in 0..60 {
        sleep(1.2 + f64::from(tenth) / 10.0).await;
        fs::write(&path, half).unwrap();
        for _ in 0..9 {
            sleep(0.1).await;
            assert_eq!(breaker.config().failure_threshold().get(), 7, "after {tenth}/10 s");
        }
        fs::write(&path, before).unwrap();
    }
    fs::write(&path, half).unwrap();
    sleep(0.9).await;
    fs::write(&path, after).unwrap();
    sleep(SOON + 1.0).await;
    assert_eq!(threshold(&process), 8);
}

#[tokio::test(start_paused = true)]
async fn case_142_a_file_that_is_refused_gone_or_empty_changes_nothing_and_is_told_once() {
    let folder = Folder::of("refused");
    let path = folder.join("settings");
    let good = "payment* 7\n";
    fs::write(&path, good).unwrap();
    let process = following(&World::new(), &path);
    let _mail = process.registry.breaker("mail").unwrap();
    let lines = Lines::of(Level::WARN);
    let told = [
        (
            Some("mail 1\npayment* 0\n"),
            "circuits.payment*.failure_threshold must be at least 1, got 0",
        ),
        (Some("mail 1\npayment* many\n"), "many is no number"),
        (None, "cannot be read: No such file"),
        (Some(" \n"), "it is empty"),
        (Some("payment* 0\n"), "got 0"),
    ];
    for (text, why) in told {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        sleep(60.0).await;
        let [line] = &lines.take_texts()[..] else { panic!("one line: {why}") };
        assert!(line.contains(why) && line.contains("those before stay in force"), "{line}");
        assert_eq!(threshold(&process), 7, "{why}");
        let new = process.registry.breaker(format!("mail {why}")).unwrap();
        assert_eq!(new.config().failure_threshold().get(), 5, "one that is new: {why}");
    }
    fs::write(&path, good).unwrap();
    sleep(SOON).await;
    fs::write(&path, "payment* 8\n").unwrap();
    sleep(SOON).await;
    assert_eq!((threshold(&process), lines.take()), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_while_it_is_replaced_is_not_told() {
    let folder = Folder::of("replaced");
    let path = folder.join("settings");
    fs::write(&path, "payment* 7\n").unwrap();
    let process = following(&World::new(), &path);
    let lines = Lines::of(Level::WARN);
    sleep(4.9).await;
    fs::remove_file(&path).unwrap();
    sleep(0.5).await;
    fs::write(&path, "payment* 8\n").unwrap();
    sleep(SOON).await;
    assert_eq!((threshold(&process), lines.take()), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn a_parser_that_panics_refuses_the_file() {
    let folder = Folder::of("panics");
    let path = folder.join("settings");
    fs::write(&path, "payment* 7\n").unwrap();
    let parse = |text: &str| {
        assert!(!text.contains("0"), "as the test says");
        parse(text)
    };
    let process = World::new().process_with(|builder| builder.settings_file(&path, parse));
    let lines = Lines::of(Level::WARN);
    fs::write(&path, "payment* 0\n").unwrap();
    sleep(SOON).await;
    assert!(lines.take_texts()[0].contains("as the test says"));
    assert_eq!(threshold(&process), 7);
    fs::write(&path, "payment* 8\n").unwrap();
    sleep(SOON).await;
    assert_eq!(threshold(&process), 8);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_followed_until_its_registry_has_ended() {
    let folder = Folder::of("ended");
    let path = folder.join("settings");
    for ends in ["shut down", "dropped"] {
        fs::write(&path, "payment* 7\n").unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let reads = Arc::clone(&read);
        let counting = move |text: &str| {
            reads.fetch_add(1, Ordering::Relaxed);
            parse(text)
        };
        let process = World::new().process_with(|builder| builder.settings_file(&path, counting));
        fs::write(&path, "payment* 8\n").unwrap();
        sleep(SOON).await;
        assert_eq!((read.load(Ordering::Relaxed), threshold(&process)), (2, 8));
        if ends == "shut down" {
            process.registry.shutdown(Duration::from_secs(1)).await.unwrap();
        } else {
            drop(process);
        }
        fs::write(&path, "payment* 9\n").unwrap();
        sleep(60.0).await;
        assert_eq!(read.load(Ordering::Relaxed), 2, "{ends}");
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "{ends}");
    }
}

#[tokio::test]
async fn a_registry_does_not_begin_without_its_file() {
    let folder = Folder::of("begins");
    let path = folder.join("settings");
    let refused = |disabled| {
        let builder = BreakerRegistry::builder(MemoryStore::new()).disabled(disabled);
        builder.settings_file(&path, parse).spawn().unwrap_err()
    };
    let reason = |error: &SpawnError| {
        let SpawnError::SettingsFile { path: told, reason } = error else { panic!("{error}") };
        assert_eq!(told, &path);
        reason.clone()
    };
    assert!(reason(&refused(false)).starts_with("it cannot be read: No such file"));
    fs::write(&path, "").unwrap();
    assert!(reason(&refused(false)).starts_with("it is empty"));
    fs::write(&path, "mail 0").unwrap();
    let error = refused(true);
    assert_eq!(reason(&error), "circuits.mail.failure_threshold must be at least 1, got 0");
    assert!(error.to_string().ends_with("must be at least 1, got 0"), "{error}");
    // What is set last counts.
    let builder = BreakerRegistry::builder(MemoryStore::new()).settings_file(&path, parse);
    let registry = builder.settings(Settings::default()).disabled(false).spawn().unwrap();
    assert_eq!(registry.breaker("mail").unwrap().config().failure_threshold().get(), 5);
}
