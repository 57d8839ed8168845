//! Builds the programs, and says what each weighs and how long it takes from the
//! start of its process to its first admission, against a DynamoDB engine on
//! loopback that is warm.
//!
//! ```sh
//! cd examples/cold_start
//! cargo run --release --features measure
//! cargo run --release --features measure -- small               # another profile
//! cargo run --release --features measure -- release roots.pem   # these root certificates only
//! ```
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

const PROGRAMS: [&str; 5] = ["tokio_only", "memory", "sdk_only", "by_hand", "from_env"];
const ROUNDS: usize = 20;

type Failed = Box<dyn Error>;

/// The engine, on a port of its own.
struct Engine {
    database: dynoxide::Database,
    port: u16,
    /// What the programs are told to read in place of the system's certificates.
    roots: Option<PathBuf>,
    _runtime: Runtime,
}

/// The times of one start.
#[derive(Clone, Copy, Default)]
struct Took {
    /// From the start of the process, as whoever started it sees it.
    all: Duration,
    until_ready: Duration,
    from_there: Duration,
}

fn main() -> Result<(), Failed> {
    let profile = env::args().nth(1).unwrap_or_else(|| "release".to_owned());
    let folder = build(&profile)?;
    let roots = env::args_os().nth(2).map(fs::canonicalize).transpose()?;
    let engine = Engine::start(roots)?;
    // A program that is admitted has read the item: an open one is a refusal.
    engine.put("OPEN")?;
    for program in ["by_hand", "from_env"] {
        if start(&folder.join(program), &engine).is_ok() {
            return Err(format!("{program} did not read the item").into());
        }
    }
    engine.put("CLOSED")?;
    let mut took: Vec<Vec<Took>> = vec![Vec::new(); PROGRAMS.len()];
    for round in 0..=ROUNDS {
        for (program, times) in PROGRAMS.iter().zip(&mut took) {
            let time = start(&folder.join(program), &engine)?;
            // The first finds nothing in the page cache.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let mut out = io::stdout().lock();
    writeln!(out, "profile {profile}, median of {ROUNDS} starts (10th to 90th percentile)\n")?;
    writeln!(
        out,
        "| program | stripped | process to first admission | main to breaker | breaker to admission |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    for (program, times) in PROGRAMS.iter().zip(&took) {
        let weight = fs::metadata(folder.join(program))?.len();
        let of = |part: fn(&Took) -> Duration| spread(times.iter().map(part).collect());
        let (all, ready, there) = (of(|t| t.all), of(|t| t.until_ready), of(|t| t.from_there));
        writeln!(out, "| `{program}` | {} KiB | {all} | {ready} | {there} |", weight / 1_024)?;
    }
    Ok(())
}

/// Builds each program by itself, beside this one.
fn build(profile: &str) -> Result<PathBuf, Failed> {
    let own = env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program is nowhere")?;
    for program in PROGRAMS {
        let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--no-default-features", "--profile", profile])
            .args(["--features", program, "--bin", program, "--target-dir"])
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

/// Runs a program once, with nothing in its environment that it does not need.
fn start(program: &Path, engine: &Engine) -> Result<Took, Failed> {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "cold")
        .env("AWS_SECRET_ACCESS_KEY", "start")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", engine.port))
        .envs(engine.roots.iter().map(|roots| ("SSL_CERT_FILE", roots)))
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
    let (until_ready, from_there) = (part()?, part()?);
    Ok(Took {
        all,
        until_ready: Duration::from_micros(until_ready),
        from_there: Duration::from_micros(from_there),
    })
}

impl Engine {
    fn start(roots: Option<PathBuf>) -> Result<Self, Failed> {
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
        Ok(Self { database, port, roots, _runtime: runtime })
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
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| {
        let place = times.len().saturating_sub(1) * percent / 100;
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    format!("{:.1} ms ({:.1} to {:.1})", at(50), at(10), at(90))
}
