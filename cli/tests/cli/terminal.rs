//! `watch` and `list` on a terminal, a narrow one too.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    process::Stdio,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{io::AsyncReadExt as _, process::Child};

use crate::world::{World, closed, half_open_by_python, now, open, soon};

/// A terminal with a command in it.
struct Terminal {
    process: Child,
    /// The side that the emulator of a terminal has.
    side: OwnedFd,
    written: tokio::fs::File,
    /// All that was written so far.
    seen: String,
}

impl Terminal {
    fn start(world: &World, columns: u16, line: &[&str]) -> Self {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&side).unwrap();
        unlockpt(&side).unwrap();
        let path = ptsname(&side, Vec::new()).unwrap().into_string().unwrap();
        let other = File::options().read(true).write(true).open(path).unwrap();
        resize(&side, columns);
        let process = world
            .command(line)
            .env("TERM", "xterm")
            .stdout(Stdio::from(other.try_clone().unwrap()))
            .stderr(Stdio::from(other))
            .spawn()
            .unwrap();
        let written = File::from(side.try_clone().unwrap()).into();
        Self { process, side, written, seen: String::new() }
    }

    /// Reads until this is on the screen that was last drawn.
    async fn shows(&mut self, words: &str) {
        while !self.screen().iter().any(|line| line.contains(words)) {
            assert!(self.reads().await, "{words:?} is not in {:?}", self.seen);
        }
    }

    /// Reads some more; `false` at the end.
    async fn reads(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        match soon("something is written", self.written.read(&mut bytes)).await {
            // A terminal without programs.
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.seen += &String::from_utf8_lossy(&bytes[..count]);
                true
            }
        }
    }

    /// The lines of the newest picture that was drawn whole.
    fn screen(&self) -> Vec<String> {
        let pictures = self.seen.split("\x1b[H").skip(1);
        let whole = pictures.filter_map(|picture| picture.split_once("\x1b[K\x1b[J"));
        let newest = whole.map(|(picture, _)| picture).last().unwrap_or_default();
        newest.split("\x1b[K").map(plain).collect()
    }

    /// Ends the command by Ctrl-C, and reads what it leaves.
    async fn interrupted(mut self) -> String {
        let id = Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap();
        kill_process(id, Signal::INT).unwrap();
        while self.reads().await {}
        let status = soon("it ends", self.process.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{status:?}");
        self.seen
    }
}

fn resize(side: &OwnedFd, columns: u16) {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(side.as_fd(), size).unwrap();
}

/// A line without colours and line ends.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split("\x1b[");
    plain += parts.next().unwrap();
    for part in parts {
        plain += part.split_once('m').unwrap_or_else(|| panic!("{line:?}")).1;
    }
    plain.replace(['\r', '\n'], "")
}

#[tokio::test(flavor = "multi_thread")]
async fn case_138_watch_redraws_a_terminal_and_leaves_it_as_it_was() {
    let world = World::new().await;
    world.put("payment-backend", &closed());
    let mut terminal = Terminal::start(&world, 80, &["watch", "--interval", "200ms"]);
    terminal.shows("CLOSED").await;
    assert_eq!(terminal.screen()[0], "0 open of 1  circuits");
    world.put("payment-backend", &open(now()));
    terminal.shows("OPEN").await;
    assert_eq!(terminal.screen()[0], "1 open of 1  circuits");
    world.way.set_down(true);
    terminal.shows("no answer since").await;
    // What was last known stays, and its age is told.
    assert!(terminal.screen().iter().any(|line| line.starts_with("payment-backend  OPEN")));
    world.way.set_down(false);
    terminal.shows("Ctrl-C ends").await;
    let seen = terminal.interrupted().await;
    assert!(seen.starts_with("\x1b[?1049h\x1b[?25l"), "{seen:?}");
    let (_, left) = seen.split_once("\x1b[?25h\x1b[?1049l").unwrap();
    assert!(left.contains("payment-backend") && !left.contains("\x1b[H"), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_twenty_columns_shows_name_and_state_and_follows_its_size() {
    let world = World::new().await;
    world.put("payment-backend", &open(now()));
    world.put("search-in-the-catalogue", &half_open_by_python(now() + 30));
    let mut terminal = Terminal::start(&world, 20, &["watch", "--interval", "1h"]);
    terminal.shows("HALF_OPEN").await;
    let screen = terminal.screen();
    assert!(screen.iter().all(|line| line.chars().count() <= 20), "{screen:?}");
    assert!(screen.iter().any(|line| line.starts_with("payment-…  OPEN")), "{screen:?}");
    // It is drawn again without another look at the table.
    resize(&terminal.side, 100);
    let id = Pid::from_raw(terminal.process.id().unwrap().cast_signed()).unwrap();
    kill_process(id, Signal::WINCH).unwrap();
    terminal.shows("search-in-the-catalogue").await;
    terminal.interrupted().await;
    assert_eq!(world.way.asked().iter().filter(|asked| *asked == "Scan").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watching_of_nothing_says_why_and_goes_on() {
    let world = World::new().await;
    world.put("orders/db", &open(now()));
    let line = ["watch", "--open", "--interval", "200ms", "--prefix", "shop/"];
    let mut terminal = Terminal::start(&world, 120, &line);
    terminal.shows("1 circuit of another prefix has: is the prefix right?").await;
    world.put("shop/db", &closed());
    terminal.shows("no circuit is open").await;
    world.put("shop/db", &open(now()));
    terminal.shows("OPEN").await;
    terminal.interrupted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_fits_the_terminal() {
    let world = World::new().await;
    world.put("search-in-the-catalogue", &open(now()));
    let mut terminal = Terminal::start(&world, 20, &["list"]);
    while terminal.reads().await {}
    let lines: Vec<_> = terminal.seen.lines().map(plain).collect();
    assert_eq!(lines[..2], ["CIRCUIT        STATE", "search-in-th…  OPEN"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watching_that_cannot_begin_leaves_its_error_on_the_terminal() {
    let world = World::empty().await;
    let mut terminal = Terminal::start(&world, 80, &["watch"]);
    while terminal.reads().await {}
    let status = soon("it ends", terminal.process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(1));
    let (_, left) = terminal.seen.split_once("\x1b[?25h\x1b[?1049l").unwrap();
    assert!(left.starts_with("error: scan in table"), "{left:?}");
}
