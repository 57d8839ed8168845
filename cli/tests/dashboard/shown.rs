//! A dashboard under test, as a process.

#[cfg(feature = "demo")]
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
};

use crate::{
    browser::Browser,
    world::{World, soon},
};

const LINE: [&str; 4] = ["dashboard", "--json", "--listen", "127.0.0.1:0"];

/// Browsers and what is measured with them, one at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A dashboard of a table.
pub(crate) struct Dashboard {
    /// Its address, without the slash at its end.
    pub(crate) url: String,
    child: Child,
}

/// A browser that no other test shares its time with.
pub(crate) struct Alone {
    pub(crate) browser: Browser,
    _alone: MutexGuard<'static, ()>,
}

impl Alone {
    /// `None`, and a message, where there is no browser.
    pub(crate) async fn start() -> Option<Self> {
        let alone = ALONE.lock().await;
        Some(Self { browser: Browser::start().await?, _alone: alone })
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) heads: String,
    pub(crate) body: String,
}

impl Answer {
    /// The JSON of it.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Dashboard {
    /// Starts one of a world's table, on any port.
    pub(crate) async fn of(world: &World, more: &[&str]) -> Self {
        Self::start(world.command(&[&LINE, more].concat())).await
    }

    /// Starts the demo, in an environment that has nothing.
    #[cfg(feature = "demo")]
    pub(crate) async fn demo() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuseboard"));
        command.env_clear().args(LINE).arg("--demo").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start(command).await
    }

    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = soon("it listens", lines.next_line()).await.unwrap();
        let Some(first) = first else {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).await.unwrap();
            panic!("{why}");
        };
        let told: Value = serde_json::from_str(&first).unwrap();
        let url = told["url"].as_str().unwrap().trim_end_matches('/').to_owned();
        Self { url, child }
    }

    /// What comes after `http://`.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The token of the page that it answers with.
    pub(crate) async fn token(&self) -> String {
        let page = self.ask("GET /", &[&format!("host: {}", self.host())], "").await;
        let (_, rest) = page.body.split_once("data-token=\"").expect("a page with orders");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends an order as the page does.
    pub(crate) async fn order(&self, order: &Value) -> Answer {
        answer("an order", self.begin_order(order).await).await
    }

    /// Sends an order, and leaves it to who calls to wait for what is answered.
    pub(crate) async fn begin_order(&self, order: &Value) -> TcpStream {
        let heads = [
            format!("host: {}", self.host()),
            format!("origin: {}", self.url),
            format!("x-fuseboard-token: {}", self.token().await),
            "content-type: application/json".to_owned(),
        ];
        let heads = heads.each_ref().map(String::as_str);
        self.begin("POST /order", &heads, &order.to_string()).await
    }

    /// The ports that its process listens on, as Linux tells them.
    #[cfg(all(feature = "demo", target_os = "linux"))]
    pub(crate) fn ports(&self) -> Vec<u16> {
        let process = format!("/proc/{}", self.child.id().unwrap());
        let sockets: Vec<_> = std::fs::read_dir(format!("{process}/fd"))
            .unwrap()
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .filter_map(|name| Some(name.to_str()?.strip_prefix("socket:[")?.replace(']', "")))
            .collect();
        let listed = ["tcp", "tcp6"]
            .map(|kind| std::fs::read_to_string(format!("{process}/net/{kind}")).unwrap());
        let lines = listed.iter().flat_map(|list| list.lines().skip(1));
        let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        // The fourth field is the state, of which `0A` is listening; the tenth the socket.
        let listening = fields.filter(|fields| fields[3] == "0A");
        let own = listening.filter(|fields| sockets.iter().any(|socket| socket == fields[9]));
        own.map(|fields| u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap())
            .collect()
    }

    /// Tells it to end, and returns what it has written for people until it did.
    pub(crate) async fn ended_on(mut self, signal: Signal) -> String {
        let id = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
        let status = soon("it ends", self.child.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{status:?}");
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        said
    }

    /// Ends it, and returns what it has written for people.
    pub(crate) async fn said(mut self) -> String {
        self.child.kill().await.unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        said
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a request, whose heads are these, and reads what is answered at once.
    pub(crate) async fn ask(&self, line: &str, heads: &[&str], body: &str) -> Answer {
        answer(line, self.begin(line, heads, body).await).await
    }

    async fn begin(&self, line: &str, heads: &[&str], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.host()).await.unwrap();
        let heads: String = heads.iter().map(|head| format!("{head}\r\n")).collect();
        let request = format!(
            "{line} HTTP/1.1\r\n{heads}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// Reads all that is answered.
async fn answer(what: &str, mut stream: TcpStream) -> Answer {
    let mut answer = String::new();
    soon(what, stream.read_to_string(&mut answer)).await.unwrap();
    let (heads, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = heads.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, heads: heads.to_lowercase(), body: body.to_owned() }
}
