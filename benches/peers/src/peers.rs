//! The crates, this one first.

mod breaker;
#[cfg(feature = "breaker-machines")]
mod breaker_machines;
mod failsafe;
mod fuseboard;
mod nobreak;
mod recloser;
mod seatbelt;
mod throttle_net;
mod tower_resilience;

use std::error::Error;

use tokio::runtime::Handle;

use crate::peer::Peer;

const MANIFEST: &str = include_str!("../Cargo.toml");

/// All that were built.
pub(crate) fn all(runtime: &Handle) -> Result<Vec<Box<dyn Peer>>, Box<dyn Error>> {
    Ok(vec![
        Box::new(fuseboard::Fuseboard::new(runtime)?),
        Box::new(recloser::Recloser),
        Box::new(failsafe::Failsafe),
        Box::new(nobreak::NoBreak),
        Box::new(breaker::BreakerCrate),
        Box::new(throttle_net::ThrottleNet),
        Box::new(seatbelt::Seatbelt),
        #[cfg(feature = "breaker-machines")]
        Box::new(breaker_machines::BreakerMachines),
        Box::new(tower_resilience::TowerResilience),
    ])
}

/// The peers that were left out, and why.
pub(crate) fn left_out() -> Option<String> {
    if cfg!(feature = "breaker-machines") {
        return None;
    }
    Some(format!(
        "{}: not built, its dependencies ask for Rust 1.99; \
         `--features breaker-machines --ignore-rust-version` measures it too.",
        titled("breaker-machines")
    ))
}

/// A crate's name with its version, if the manifest pins one.
pub(crate) fn titled(name: &str) -> String {
    let pinned = MANIFEST.lines().find_map(|line| {
        let (_, requirement) = line.strip_prefix(name)?.strip_prefix(" = ")?.split_once("\"=")?;
        let (version, _) = requirement.split_once('"')?;
        Some(format!("{name} {version}"))
    });
    pinned.unwrap_or_else(|| format!("**{name}**"))
}
