//! A threshold is changed in the file that processes follow.

use std::{fs, path::Path, time::Duration};

use fuseboard::{BreakerRegistry, MemoryStore, Settings};

use super::{CIRCUIT, page::Scene, seen::Log, shell::Shell};
use crate::{settings::Folder, world::World};

/// What the page shows beside the commands.
const BEFORE: &str = "[default]\nfailure_threshold = 5\n";
const AFTER: &str = "[default]\nfailure_threshold = 5\n\n[circuits.payment-backend]\n\
                     failure_threshold = 3\nfailure_window = \"1m\"\n";
const MISTAKE: &str = "[default]\nfailure_threshold = 5\n\n[circuits.payment-backend]\n\
                       failure_threshold = 0\n";

/// The log of a process that follows a file in this folder, of whose content each of these takes
/// the place of the one before. Its time is virtual, and nobody waits for it.
fn followed(folder: &Path, texts: &[&str]) -> Vec<String> {
    let file = folder.join("settings.toml");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
        fs::write(&file, BEFORE).unwrap();
        let builder = BreakerRegistry::builder(MemoryStore::new()).instance("task-42");
        let parse = |text: &str| toml::from_str::<Settings>(text);
        let registry = builder.settings_file(&file, parse).disabled(false).spawn().unwrap();
        let _breaker = registry.breaker(CIRCUIT).unwrap();
        let log = Log::begin();
        let mut told = Vec::new();
        for text in texts {
            let new = folder.join("new.toml");
            fs::write(&new, text).unwrap();
            fs::rename(new, &file).unwrap();
            tokio::time::sleep(Duration::from_secs(7)).await;
            // As if it lay where a deployment mounts it.
            told.push(log.take().replace(&file.display().to_string(), "/etc/orders/settings.toml"));
        }
        told
    })
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a process has a thread of its own")]
async fn a_threshold_is_checked_changed_and_seen_to_be_taken() {
    let world = World::new().await;
    let folder = Folder::of("runbook");
    let mut page = Scene::new("Change a threshold");
    let shown = super::page::text().contains(&format!("```toml\n{AFTER}```\n"));
    assert!(shown, "the page has the file as it is played");
    let path = folder.0.clone();
    let followed = tokio::task::spawn_blocking(move || followed(&path, &[AFTER, MISTAKE]));
    let logged = followed.await.unwrap();
    let anna = Shell::of(&world, "anna").in_folder(&folder.0);
    folder.write("settings.toml", AFTER);
    page.block(anna.runs("fuseboard settings check settings.toml payment-backend").await);
    page.block(&logged[0]);
    folder.write("settings.toml", MISTAKE);
    page.block(anna.ends("fuseboard settings check settings.toml", 1).await);
    page.block(&logged[1]);
    page.matches_the_page();
}
