//! The two threads that measure, and what the machine is.

use std::{
    fs,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use crate::{
    subject::Lane,
    timed::{Gate, Timed, timed},
};

struct Job {
    lane: Lane,
    calls: u32,
    gate: Arc<Gate>,
}

/// The second thread, on a processor of its own. It sleeps between samples.
pub(crate) struct Second {
    jobs: Sender<Job>,
    done: Receiver<(Timed, Lane)>,
}

impl Second {
    /// Keeps this thread on one processor, and starts another on the next; none
    /// if there is but one.
    pub(crate) fn pair() -> Option<Self> {
        let processors = processors();
        if let Some(first) = processors.first() {
            keep_to(*first);
        }
        let second = *processors.get(1)?;
        let (jobs, todo) = mpsc::channel::<Job>();
        let (answer, done) = mpsc::channel();
        thread::spawn(move || {
            keep_to(second);
            for mut job in todo {
                let timed = timed(job.lane.as_mut(), job.calls, Some(&job.gate));
                if answer.send((timed, job.lane)).is_err() {
                    return;
                }
            }
        });
        Some(Self { jobs, done })
    }

    /// Runs both lanes at the same time; nothing if the other thread is gone.
    pub(crate) fn together(&self, first: &mut Lane, second: Lane, calls: u32) -> Option<Both> {
        let gate = Arc::new(Gate::default());
        self.jobs.send(Job { lane: second, calls, gate: Arc::clone(&gate) }).ok()?;
        let here = timed(first.as_mut(), calls, Some(&gate));
        let (there, second) = self.done.recv().ok()?;
        Some(Both { here, there, second })
    }
}

/// What two lanes did at the same time.
pub(crate) struct Both {
    pub(crate) here: Timed,
    pub(crate) there: Timed,
    /// The lane that was lent.
    pub(crate) second: Lane,
}

#[cfg(target_os = "linux")]
fn processors() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).collect()
}

#[cfg(not(target_os = "linux"))]
fn processors() -> Vec<usize> {
    (0..thread::available_parallelism().map_or(1, Into::into)).collect()
}

/// A wish: without it the samples are only noisier.
#[cfg(target_os = "linux")]
fn keep_to(processor: usize) {
    let mut one = rustix::thread::CpuSet::new();
    one.set(processor);
    let _ = rustix::thread::sched_setaffinity(None, &one);
}

#[cfg(not(target_os = "linux"))]
fn keep_to(_processor: usize) {}

/// The processors, as the system names them.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = info
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .collect();
    match models.first() {
        Some((_, model)) => format!("{} vCPU {model}", models.len()),
        None => format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}
