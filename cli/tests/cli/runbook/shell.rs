//! What an operator types, and what is printed.

use std::{io::Read as _, path::Path, process::Stdio};

use tokio::process::Command;

use crate::world::{TABLE, World, soon};

/// A shell of an operator: what is in its environment.
pub(super) struct Shell<'a> {
    endpoint: &'a str,
    user: &'a str,
    table: &'a str,
    has_credentials: bool,
    folder: Option<&'a Path>,
}

impl<'a> Shell<'a> {
    pub(super) fn of(world: &'a World, user: &'a str) -> Self {
        Self { endpoint: &world.endpoint, user, table: TABLE, has_credentials: true, folder: None }
    }

    /// With this table in its environment.
    pub(super) fn with_table(self, table: &'a str) -> Self {
        Self { table, ..self }
    }

    /// In this folder.
    pub(super) fn in_folder(self, folder: &'a Path) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Whose session has ended.
    pub(super) fn without_credentials(self) -> Self {
        Self { has_credentials: false, ..self }
    }

    /// Where the table cannot be reached.
    pub(super) fn with_endpoint(self, endpoint: &'a str) -> Self {
        Self { endpoint, ..self }
    }

    /// Runs a line, which ends well, and returns it with what was printed.
    pub(super) async fn runs(&self, line: &str) -> String {
        self.ends(line, 0).await
    }

    /// Runs a line, which ends with this status, and returns it with what was printed.
    #[expect(clippy::disallowed_methods, reason = "a pipe is read by a thread")]
    pub(super) async fn ends(&self, line: &str, status: i32) -> String {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = self.command(line);
        command.stdout(Stdio::from(writer.try_clone().unwrap())).stderr(Stdio::from(writer));
        let mut process = command.spawn().unwrap();
        // Its ends of the pipe are closed with it.
        drop(command);
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        let printed = soon("the command prints", read).await.unwrap();
        let ended = soon("the command ends", process.wait()).await.unwrap();
        assert!(!printed.contains("panicked"), "{line}: {printed}");
        assert_eq!(ended.code(), Some(status), "{line}: {printed}");
        // It stands in for the endpoint of the region, which nobody has to name.
        let printed = printed.replace(&format!(", endpoint {}", self.endpoint), "");
        let printed = printed.replace("; a local endpoint takes any key", "");
        format!("$ {line}\n{printed}")
    }

    /// The command of a line.
    pub(super) fn command(&self, line: &str) -> Command {
        let words = words(line);
        assert_eq!(words[0], "fuseboard");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuseboard"));
        command
            .env_clear()
            .envs([
                // There is no instance that has a role.
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
                ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint),
                ("FUSEBOARD_TABLE", self.table),
                ("USER", self.user),
            ])
            .args(&words[1..])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        if self.has_credentials {
            command.envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        }
        command
    }
}

/// The words of a line: what stands between double quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(ToOwned::to_owned));
        }
    }
    words
}
