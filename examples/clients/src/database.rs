//! A PostgreSQL of its own, in a temporary folder, that can be stopped and started.

use std::{
    env, fs, io,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// There is no PostgreSQL on this machine, or none that can be run.
#[derive(Debug)]
pub struct NoDatabase(pub String);

/// A PostgreSQL on a free port of loopback. Dropped, it is stopped, and its folder is removed.
#[derive(Debug)]
pub struct Database {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Whom the server runs as: it refuses to run as root.
    owner: Option<(u32, u32)>,
}

impl Database {
    /// Makes a database, and starts it.
    ///
    /// # Errors
    ///
    /// [`NoDatabase`]: why there is none.
    pub fn start_new() -> Result<Self, NoDatabase> {
        let programs = programs()
            .ok_or_else(|| NoDatabase("there is no PostgreSQL (initdb) on this machine".into()))?;
        let made = Self::make(programs);
        made.map_err(|error| NoDatabase(format!("PostgreSQL could not be started: {error}")))
    }

    fn make(programs: PathBuf) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = env::temp_dir().join(format!("fuseboard-postgres-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let is_root = fs::metadata(&folder)?.uid() == 0;
        let owner = if is_root { user_of_postgres()? } else { None };
        let database = Self { programs, folder, port, owner };
        if let Some((user, group)) = database.owner {
            chown(&database.folder, Some(user), Some(group))?;
        }
        let options = ["--auth=trust", "--username=postgres", "--no-sync", "--pgdata"];
        database.run("initdb", &options)?;
        database.start()?;
        Ok(database)
    }

    /// Returns the URL of a connection.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server, and waits until it takes connections.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(&self) -> io::Result<()> {
        let listens = format!("-p {} -h 127.0.0.1 -k {} -F", self.port, self.folder.display());
        let log = self.folder.join("log").display().to_string();
        self.run("pg_ctl", &["start", "--wait", "--log", &log, "--options", &listens, "--pgdata"])
    }

    /// Stops the server, and with it all connections.
    ///
    /// # Errors
    ///
    /// It does not stop.
    pub fn stop(&self) -> io::Result<()> {
        self.run("pg_ctl", &["stop", "--wait", "--mode", "fast", "--pgdata"])
    }

    /// Runs a program of PostgreSQL on the data of this database, which is its last argument.
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).arg(self.folder.join("data")).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        let status = command.status()?;
        let failed = || io::Error::other(format!("{program} ended with {status}"));
        if status.success() { Ok(()) } else { Err(failed()) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the folder of PostgreSQL's programs: from `PATH`, or where Debian has them.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    env::split_paths(&path).chain(debian).find(|folder| has_programs(folder))
}

fn has_programs(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).exists())
}

/// Returns the ids of PostgreSQL's own user; of nobody, if there is none.
fn user_of_postgres() -> io::Result<Option<(u32, u32)>> {
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |wanted: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Ok(ids("postgres").or_else(|| ids("nobody")))
}
