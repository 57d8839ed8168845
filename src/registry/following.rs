//! A file of settings that is followed while the registry lives.
//!
//! The file is read again and again, and its content compared: a mounted file is replaced by the
//! renaming of a link, at which neither its own folder nor its age need to change. What differs
//! counts once it was read twice in a row, a second apart, because some programs write a file in
//! place: the first half of a file of TOML is a file of TOML.

use std::{
    fmt,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use super::{BreakerRegistry, Inner};
use crate::{
    config::Settings,
    error::SpawnError,
    panics::attempt,
    runtime::{log, metrics},
};

/// How often the file is read.
const EVERY: Duration = Duration::from_secs(5);

/// How long a new content has to stay as it is.
const STEADY: Duration = Duration::from_secs(1);

/// Reads settings from text. Code of others.
type Parse = dyn Fn(&str) -> Result<Settings, String> + Send + Sync;

/// A file, and who reads settings from its text.
#[derive(Clone)]
pub(super) struct SettingsFile {
    path: PathBuf,
    parse: Arc<Parse>,
}

/// What a file was found to be: its text, or why there is none.
type Found = Result<String, String>;

impl SettingsFile {
    pub(super) fn new<E: Display>(
        path: PathBuf,
        parse: impl Fn(&str) -> Result<Settings, E> + Send + Sync + 'static,
    ) -> Self {
        let parse = Arc::new(move |text: &str| parse(text).map_err(|error| error.to_string()));
        Self { path, parse }
    }

    /// Reads the file for the first time: nothing calls yet, so that this may block.
    pub(super) fn first(self) -> Result<(Settings, Follower), SpawnError> {
        let found = fs::read_to_string(&self.path).map_err(unreadable);
        let settings = found.and_then(|text| Ok((self.settings(&text)?, text)));
        let (settings, text) = settings
            .map_err(|reason| SpawnError::SettingsFile { path: self.path.clone(), reason })?;
        let in_force = Settings::checksum_of(&text);
        Ok((settings, Follower { file: self, in_force, last: Ok(text), refused: None }))
    }

    fn settings(&self, text: &str) -> Result<Settings, String> {
        if text.trim().is_empty() {
            return Err("it is empty, and may be written just now".to_owned());
        }
        attempt(|| (self.parse)(text)).unwrap_or_else(|panic| Err(format!("a panic: {panic}")))
    }

    async fn read(&self) -> Found {
        tokio::fs::read_to_string(&self.path).await.map_err(unreadable)
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("it cannot be read: {error}")
}

impl fmt::Debug for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, f)
    }
}

/// Follows a file for one registry.
pub(super) struct Follower {
    file: SettingsFile,
    /// The checksum of the text whose settings are in force.
    in_force: u32,
    /// What was found last, whether it was taken or refused: each is told once.
    last: Found,
    /// Why the settings of that were refused last.
    refused: Option<String>,
}

impl Follower {
    /// Tells that the registry begins with the settings of the file.
    fn begins(&self, instance: Option<&str>) {
        log::settings_taken(self.path(), self.in_force, 0, instance);
        self.show();
    }

    /// Follows the file until the registry is dropped.
    async fn follow(mut self, registry: Weak<Inner>) {
        loop {
            let Some(clock) = registry.upgrade().map(|inner| inner.environment.clock.clone())
            else {
                return;
            };
            clock.sleep(Some(EVERY)).await;
            let mut found = self.file.read().await;
            while found != self.last {
                clock.sleep(Some(STEADY)).await;
                let before = std::mem::replace(&mut found, self.file.read().await);
                if found == before {
                    break;
                }
            }
            let Some(inner) = registry.upgrade() else { return };
            // What was refused may have been so for a circuit that has gone since.
            if found != self.last || self.refused.is_some() {
                self.take(&BreakerRegistry { inner }, found);
            }
            // Each time, so that no recorder drops them as idle.
            self.show();
        }
    }

    fn take(&mut self, registry: &BreakerRegistry, found: Found) {
        let instance = registry.inner.environment.instance.as_deref();
        let settings = match &found {
            Ok(text) => self.file.settings(text),
            Err(reason) => Err(reason.clone()),
        };
        let given = settings.and_then(|settings| {
            registry.follow_settings(&settings).map_err(|refused| refused.to_string())
        });
        match given {
            Ok(done) => {
                metrics::reconfigured("taken");
                self.in_force = found.as_deref().map_or(0, Settings::checksum_of);
                log::settings_taken(self.path(), self.in_force, done.changed.len(), instance);
                self.refused = None;
            }
            Err(error) => {
                if found != self.last || self.refused.as_ref() != Some(&error) {
                    metrics::reconfigured("refused");
                    log::settings_refused(self.path(), &error, instance);
                }
                self.refused = Some(error);
            }
        }
        self.last = found;
    }

    fn show(&self) {
        metrics::settings_file(self.in_force, self.refused.is_some());
    }

    fn path(&self) -> &Path {
        &self.file.path
    }
}

/// A registry that has ended has no file in force, and leaves no alarm behind.
impl Drop for Follower {
    fn drop(&mut self) {
        metrics::settings_file(0, false);
    }
}

impl BreakerRegistry {
    /// Follows a file until this registry has ended.
    pub(super) fn follow(&self, follower: Follower) {
        follower.begins(self.inner.environment.instance.as_deref());
        let (cancel, registry) = (self.inner.cancel.clone(), Arc::downgrade(&self.inner));
        let follows = async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = follower.follow(registry) => {}
            }
        };
        self.inner.spawn(follows);
    }
}
