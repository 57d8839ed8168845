//! `settings check`.

use std::{fs, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::world::{Ran, ended};

/// A folder of a test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn of(test: &str) -> Self {
        let name = format!("fuseboard-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the command without table, credentials and region.
async fn run(folder: &Folder, line: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuseboard"));
    command.env_clear().current_dir(&folder.0).args(line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    ended(command).await
}

const SAMPLE: &str = include_str!("../../../examples/settings.toml");

#[tokio::test]
async fn case_138_a_file_that_is_valid_shows_what_a_circuit_has_by_its_name_a_prefix_or_the_default()
 {
    let folder = Folder::of("check");
    folder.write("settings.toml", SAMPLE);
    let checksum = fuseboard::Settings::checksum_of(SAMPLE);
    let ran = run(&folder, &["settings", "check", "settings.toml"]).await;
    let valid = format!("settings.toml is valid; its checksum is {checksum}\n");
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, valid.as_str(), ""));
    for (circuit, part, threshold, window) in [
        ("payments-eu", "circuits.payments-eu", "5", "5m"),
        ("payments-us", "circuits.payments*", "3", "none"),
        ("mail", "default", "5", "none"),
    ] {
        let ran = run(&folder, &["settings", "check", "settings.toml", circuit]).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        let mut lines = ran.out.lines().skip(1);
        assert_eq!(lines.next(), Some(&*format!("{circuit} has what [{part}] says")));
        let words: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words.len(), 21, "every setting: {ran:?}");
        assert_eq!(words[0][..2], ["failure_threshold", threshold]);
        assert_eq!(words[1][..2], ["failure_window", window]);
        assert_eq!(words[0].contains(&"(default)"), threshold == "5", "{ran:?}");
    }
    let ran = run(&folder, &["settings", "check", "settings.toml", "payments-us", "--json"]).await;
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["ok"], &told["checksum"]), (&json!(true), &json!(checksum)));
    let circuit = &told["circuit"];
    assert_eq!(
        (&circuit["name"], &circuit["part"]),
        (&json!("payments-us"), &json!("circuits.payments*"))
    );
    let expected = [
        ("failure_threshold", json!(3)),
        ("recovery_timeout", json!("10s")),
        ("slow_after", json!("2s")),
        ("ramp", Value::Null),
        ("dry_run", json!(false)),
    ];
    for (setting, value) in expected {
        assert_eq!(circuit["settings"][setting], value, "{setting}");
    }
}

#[tokio::test]
async fn case_142_a_file_that_is_refused_is_told_with_path_and_value() {
    let folder = Folder::of("refused");
    let range = "circuits.payments*.recovery_timeout must be between 1 s and 365 days, got 0ns";
    let files = [
        ("a.toml", "[circuits.\"payments*\"]\nrecovery_timeout = \"0s\"\n", range),
        ("a.json", r#"{"circuits": {"payments*": {"recovery_timeout": "0s"}}}"#, range),
        ("b.toml", "[default]\nfailure_treshold = 3\n", "default.failure_treshold"),
        (
            "c.toml",
            "[default]\nfailure_threshold = 3\nramp = 30\n",
            "default.ramp: invalid type: integer `30`",
        ),
        ("d.toml", "[default\n", "line 1: "),
        ("e.toml", "\n", "it is empty"),
        ("f.json", "{\"default\": {\n", "line 2"),
    ];
    for (name, text, why) in files {
        folder.write(name, text);
        let ran = run(&folder, &["settings", "check", name, "payments-eu"]).await;
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.starts_with(&format!("error: {name}: ")), "{ran:?}");
        assert!(ran.err.contains(why) && ran.err.lines().count() == 1, "{why}: {ran:?}");
    }
    let ran = run(&folder, &["settings", "check", "a.toml", "--json"]).await;
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, told), (1, json!({"file": "a.toml", "ok": false, "error": range})));
    let ran = run(&folder, &["settings", "check", "gone.toml"]).await;
    assert_eq!(ran.status, 1);
    assert!(ran.err.starts_with("error: gone.toml: it cannot be read: No such file"), "{ran:?}");
    for line in [&["settings", "check", "settings.yaml"][..], &["settings", "check"], &["settings"]]
    {
        assert_eq!(run(&folder, line).await.status, 2, "{line:?}");
    }
}
