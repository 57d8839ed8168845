//! What `dashboard` may be asked for.

use std::{net::SocketAddr, time::Duration};

use crate::{args, time};

/// Where the page is, of what, and what may be done with it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DashboardArgs {
    /// Where to listen; port 0 is any that is free. Whoever reaches the address sees the circuits.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8017")]
    pub(crate) listen: SocketAddr,

    /// A name under which browsers may ask for the page, beside the address; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub(crate) host: Vec<String>,

    /// Lets whoever sees the page hold and release circuits.
    #[arg(long)]
    pub(crate) allow_changes: bool,

    /// Who holds a circuit, if the page is not told another name.
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, value_parser = args::text)]
    pub(crate) by: Option<String>,

    /// How often the table is read; each time costs half a unit for 4 kB of it.
    #[arg(long, value_name = "TIME", default_value = "800ms", value_parser = interval)]
    pub(crate) interval: Duration,

    /// Shows a table in this process, and services that fail and recover: needs no AWS account.
    #[cfg(feature = "demo")]
    #[arg(long)]
    pub(crate) demo: bool,
}

fn host(text: &str) -> Result<String, String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if !text.is_empty() && text.chars().all(is_name) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be a name like wall.example.com, without a port".to_owned())
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let length = time::length(text)?;
    if (Duration::from_millis(200)..=Duration::from_secs(3_600)).contains(&length) {
        Ok(length)
    } else {
        Err("must be from 200ms to 1h".to_owned())
    }
}
