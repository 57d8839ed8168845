//! A headless Chromium, driven through its DevTools protocol by a pair of pipes.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
    task::JoinSet,
};

use crate::world::soon;

/// Hands the pipes on as those that the browser reads and writes.
const HAND_ON: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// A browser; it ends when this is dropped.
pub(crate) struct Browser {
    pipe: Arc<tokio::sync::Mutex<ChildStdin>>,
    state: Arc<Mutex<State>>,
    _child: Child,
    _profile: Profile,
    _tasks: JoinSet<()>,
}

/// What the browser has said.
#[derive(Default)]
struct State {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Value>>,
    /// What pages have written to their consoles, and what failed in them.
    complaints: Vec<(String, String)>,
}

/// A folder for the browser, which is removed.
struct Profile(PathBuf);

impl Drop for Profile {
    fn drop(&mut self) {
        // The processes of the browser end one after the other, and write until then.
        for _ in 0..100 {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The browser of this machine: `FUSEBOARD_CHROMIUM`, or one in the path.
fn found() -> Option<PathBuf> {
    if let Some(named) = env::var_os("FUSEBOARD_CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    let every = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    every.into_iter().find(|file| file.is_file())
}

impl Browser {
    /// Starts a browser; `None`, and a message, where there is none.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = found() else {
            eprintln!("SKIPPED: no Chromium in the path, and none named by FUSEBOARD_CHROMIUM");
            return None;
        };
        let profile = Profile(env::temp_dir().join(format!("fuseboard-{}", uuid::Uuid::new_v4())));
        let mut child = command(&program, &profile.0).spawn().unwrap();
        let pipe = Arc::new(tokio::sync::Mutex::new(child.stdin.take().unwrap()));
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(child.stdout.take().unwrap(), Arc::clone(&state)));
        Some(Self { pipe, state, _child: child, _profile: profile, _tasks: tasks })
    }

    /// Opens a page, of this width and height.
    pub(crate) async fn open(&self, url: &str, size: [u32; 2]) -> Page<'_> {
        let target = self.ask(None, "Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.ask(None, "Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let page = Page { browser: self, session };
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            page.ask(domain, json!({})).await;
        }
        page.resize(size).await;
        page.ask("Page.navigate", json!({ "url": url })).await;
        page
    }

    async fn ask(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let (answer, answered) = oneshot::channel();
        let id = self.with(|state| {
            state.last += 1;
            state.waiting.insert(state.last, answer);
            state.last
        });
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.pipe.lock().await.write_all(&bytes).await.unwrap();
        let answer = soon(method, answered).await.expect("the browser lives");
        assert_eq!(answer.get("error"), None, "{method}");
        answer["result"].clone()
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn command(program: &Path, profile: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", HAND_ON])
        .arg(program)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
        .args(["--hide-scrollbars", "--remote-debugging-pipe"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Takes in what the browser says: JSON, each with a zero at its end.
async fn listen(pipe: ChildStdout, state: Arc<Mutex<State>>) {
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while pipe.read_until(0, &mut bytes).await.is_ok_and(|length| length > 0) {
        bytes.pop();
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        bytes.clear();
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = message["id"].as_u64() {
            if let Some(waiting) = state.waiting.remove(&id) {
                let _ = waiting.send(message);
            }
        } else if let Some(complaint) = complaint(&message) {
            let session = message["sessionId"].as_str().unwrap_or_default().to_owned();
            state.complaints.push((session, complaint));
        }
    }
    // Nobody is answered any more.
    state.lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
}

/// What is wrong by an event, if anything is.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled" => Some(params["args"].to_string()),
        "Log.entryAdded" => Some(params["entry"].to_string()),
        _ => None,
    }
}

/// A page of a browser.
pub(crate) struct Page<'a> {
    browser: &'a Browser,
    session: String,
}

impl Page<'_> {
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.browser.ask(Some(&self.session), method, params).await
    }

    /// The value of an expression in the page; of a promise, what it comes to.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", params).await;
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page and drawn, and returns when that was, in
    /// milliseconds since the Unix epoch.
    pub(crate) async fn until(&self, expression: &str) -> i64 {
        let wait = format!(
            "new Promise((done, failed) => {{
                const late = () => failed(new Error(document.body.innerText));
                const limit = setTimeout(late, 30000);
                const test = () => {{
                    if (!({expression})) return false;
                    observer.disconnect();
                    clearTimeout(limit);
                    requestAnimationFrame(() => done(Date.now()));
                    return true;
                }};
                const observer = new MutationObserver(test);
                const all = {{subtree: true, childList: true, attributes: true, characterData: true}};
                if (!test()) observer.observe(document, all);
            }})"
        );
        self.value(&wait).await.as_i64().unwrap()
    }

    pub(crate) async fn resize(&self, [width, height]: [u32; 2]) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Clicks into the middle of the element that a selector finds.
    pub(crate) async fn click(&self, selector: &str) {
        let place = format!(
            "(() => {{
                const element = document.querySelector({});
                element.scrollIntoView({{block: 'center'}});
                const box = element.getBoundingClientRect();
                return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
            }})()",
            json!(selector)
        );
        let place = self.value(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1
            });
            self.ask("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Types a text where the cursor is.
    pub(crate) async fn type_in(&self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a key that has a name.
    pub(crate) async fn press(&self, key: &str, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "text": if kind == "keyDown" { text } else { "" }});
            self.ask("Input.dispatchKeyEvent", event).await;
        }
    }

    /// What the page has written to its console so far, and what has failed in it.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mine =
            |(session, text): &(String, String)| (*session == self.session).then(|| text.clone());
        self.browser.with(|state| state.complaints.iter().filter_map(mine).collect())
    }

    /// Writes a picture of the page into the folder that `FUSEBOARD_PICTURES` names, if any.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = env::var_os("FUSEBOARD_PICTURES") else { return };
        let shot = self.ask("Page.captureScreenshot", json!({"format": "png"})).await;
        let bytes = from_base64(shot["data"].as_str().unwrap());
        std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let sextets: Vec<_> =
        text.bytes().filter(|byte| *byte != b'=').map(|byte| u32::from(sextet(byte))).collect();
    let bytes = sextets.chunks(4).flat_map(|chunk| {
        let bits =
            chunk.iter().enumerate().fold(0, |sum, (place, one)| sum | one << (18 - 6 * place));
        bits.to_be_bytes().into_iter().skip(1).take(chunk.len() - 1)
    });
    bytes.collect()
}
