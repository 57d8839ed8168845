//! Builds the programs, and says what each weighs and how long it takes from the
//! start of its process to its first admission, against a DynamoDB engine on
//! loopback that is warm.
//!
//! ```sh
//! cd examples/cold_start
//! cargo run --release --features measure
//! cargo run --release --features measure -- small               # another profile
//! cargo run --release --features measure -- release roots.pem   # and with these root certificates only
//! ```
//!
//! It writes a table in Markdown: medians, with the 10th and the 90th percentile.
//! Where valgrind is at hand, the instructions of a start are counted as well, which
//! other work on the machine does not change. Files of root certificates, any number
//! of them, are each tried in place of the system's.
//!
//! Nothing is encrypted on the way to the engine: a real start has a TLS handshake,
//! the way to the region, and an engine that is not in memory on top.

#![expect(clippy::disallowed_methods, reason = "a measurement reads clocks and runs programs")]

use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use cold_start::{CIRCUIT, TABLE};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};

/// The programs, and what they are in words.
const PROGRAMS: [(&str, &str); 6] = [
    ("tokio_only", "nothing but tokio"),
    ("memory", "the crate with `MemoryStore`"),
    ("sdk_only", "the SDK with `aws-config`, one `GetItem`, without the crate"),
    ("by_hand", "the crate, with a client made by hand"),
    ("ring", "the same with ring in place of aws-lc"),
    ("from_env", "the crate, `DynamoDbStore::from_env`"),
];
const ROUNDS: usize = 20;
/// The variable that names root certificates to be read in place of the system's.
const ROOTS: &str = "SSL_CERT_FILE";

type Failed = Box<dyn Error>;

/// The engine, on a port of its own.
struct Engine {
    database: dynoxide::Database,
    port: u16,
    _runtime: Runtime,
}

/// What is known of a program.
#[derive(Default)]
struct Measured {
    bytes: u64,
    /// With the system's root certificates, and then with each of the others.
    ways: Vec<Way>,
}

/// One way to start a program.
#[derive(Clone, Default)]
struct Way {
    starts: Vec<Took>,
    instructions: Option<u64>,
}

/// The times of one start.
#[derive(Clone, Copy, Default)]
struct Took {
    /// From the start of the process, as whoever started it sees it.
    all: Duration,
    to_spawn: Duration,
    from_spawn: Duration,
}

fn main() -> Result<(), Failed> {
    let profile = env::args().nth(1).unwrap_or_else(|| "release".to_owned());
    let mut roots = vec![None];
    for file in env::args_os().skip(2) {
        roots.push(Some(fs::canonicalize(file)?));
    }
    let folder = build(&profile, "")?;
    let engine = Engine::start()?;
    // A program that is admitted has read the item: an open one is a refusal.
    engine.put("OPEN")?;
    for program in ["by_hand", "ring", "from_env"] {
        if engine.starts(&folder.join(program), None).is_ok() {
            return Err(format!("{program} did not read the item").into());
        }
    }
    engine.put("CLOSED")?;
    let mut measured = Vec::new();
    for (program, _) in PROGRAMS {
        let bytes = fs::metadata(folder.join(program))?.len();
        measured.push(Measured { bytes, ways: vec![Way::default(); roots.len()] });
    }
    for round in 0..=ROUNDS {
        for ((program, _), measured) in PROGRAMS.iter().zip(&mut measured) {
            for (roots, way) in roots.iter().zip(&mut measured.ways) {
                let took = engine.starts(&folder.join(program), roots.as_deref())?;
                // The first finds nothing in the page cache.
                if round > 0 {
                    way.starts.push(took);
                }
            }
        }
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok() {
        build(&profile, ",counted")?;
        for ((program, _), measured) in PROGRAMS.iter().zip(&mut measured) {
            for (roots, way) in roots.iter().zip(&mut measured.ways) {
                let count = engine.counts(&folder.join(program), roots.as_deref())?;
                way.instructions = Some(count);
            }
        }
    }
    print(&measured, &roots)
}

/// A table in Markdown, times in milliseconds.
fn print(measured: &[Measured], roots: &[Option<PathBuf>]) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    write!(out, "| ms | stripped | process to first admission | `main` to `spawn` ")?;
    write!(out, "| `spawn` to first admission | instructions |")?;
    for file in roots.iter().flatten().filter_map(|file| file.file_name()) {
        write!(out, " process to first admission, `{}` |", file.display())?;
    }
    writeln!(out, "\n|---|--:|--:|--:|--:|--:|{}", "--:|".repeat(roots.len() - 1))?;
    for ((_, program), measured) in PROGRAMS.iter().zip(measured) {
        write!(out, "| {program} | {} MiB ", tenths(measured.bytes, 1_048_576))?;
        for (place, way) in measured.ways.iter().enumerate() {
            let of = |part: fn(&Took) -> Duration| spread(way.starts.iter().map(part).collect());
            let (all, to, from) = (of(|t| t.all), of(|t| t.to_spawn), of(|t| t.from_spawn));
            let millions = way.instructions.map(|count| tenths(count, 1_000_000) + " M");
            let millions = millions.unwrap_or_default();
            match place {
                0 => write!(out, "| {all} | {to} | {from} | {millions} |")?,
                _ => write!(out, " {all}, {millions} |")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Builds each program by itself, beside this one, with its own feature and `more`.
fn build(profile: &str, more: &str) -> Result<PathBuf, Failed> {
    let own = env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program is nowhere")?;
    for (program, _) in PROGRAMS {
        let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--no-default-features", "--profile", profile])
            .args(["--features", &format!("{program}{more}"), "--bin", program, "--target-dir"])
            .arg(target)
            .arg("--manifest-path")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .status()?;
        if !built.success() {
            return Err(format!("{program} was not built").into());
        }
    }
    Ok(target.join(profile))
}

impl Engine {
    fn start() -> Result<Self, Failed> {
        let runtime = Runtime::new()?;
        let database = dynoxide::Database::memory()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(dynoxide::server::serve_on(listener, database.clone()));
        database.create_table(serde_json::from_value(json!({
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }))?)?;
        Ok(Self { database, port, _runtime: runtime })
    }

    fn put(&self, state: &str) -> Result<(), Failed> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        self.database.put_item(serde_json::from_value(json!({
            "TableName": TABLE,
            "Item": {
                "id": {"S": CIRCUIT},
                "state": {"S": state},
                "failure_count": {"N": "5"},
                "opened_at": {"N": now.to_string()},
                "expiration": {"N": "4102444800"},
            },
        }))?)?;
        Ok(())
    }

    /// Sets what AWS Lambda would, and nothing else.
    fn is_for<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "cold")
            .env("AWS_SECRET_ACCESS_KEY", "start")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
    }

    /// Runs a program once, perhaps with other root certificates than the system's.
    fn starts(&self, program: &Path, roots: Option<&Path>) -> Result<Took, Failed> {
        let mut command = Command::new(program);
        self.is_for(&mut command)
            .envs(roots.map(|roots| (ROOTS, roots)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let all = started.elapsed();
        if !child.wait()?.success() {
            return Err(format!("{} has failed", program.display()).into());
        }
        let mut parts = line.split_whitespace().map(str::parse::<u64>);
        let mut part = || parts.next().ok_or("a time is missing")?.map_err(Failed::from);
        let (to_spawn, from_spawn) = (part()?, part()?);
        Ok(Took {
            all,
            to_spawn: Duration::from_micros(to_spawn),
            from_spawn: Duration::from_micros(from_spawn),
        })
    }

    /// Counts the instructions of one run.
    fn counts(&self, program: &Path, roots: Option<&Path>) -> Result<u64, Failed> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        self.is_for(&mut command).env("PATH", path).envs(roots.map(|roots| (ROOTS, roots)));
        let ran = command.output()?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let collected = said.lines().find_map(|line| line.split_once("Collected : "));
        match collected {
            Some((_, count)) if ran.status.success() => Ok(count.trim().parse()?),
            _ => Err(format!("{} has failed under valgrind: {said}", program.display()).into()),
        }
    }
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| {
        let place = times.len().saturating_sub(1) * percent / 100;
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    let digits = if at(50) < 1.0 { 2 } else { 1 };
    format!("{:.digits$} ({:.digits$} to {:.digits$})", at(50), at(10), at(90))
}

/// A quotient with one digit after the point, rounded.
fn tenths(number: u64, unit: u64) -> String {
    let tenths = (number * 10 + unit / 2) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}
