//! Where requests go, under whose credentials, and what is said if there are none.

use std::env;

use aws_config::SdkConfig;

use crate::{args::TableArgs, ending::Ending};

/// What the SDK says of the providers that it has asked, if it has found none that is set up.
const NOT_SET_UP: &str = "no credentials found in chain";

/// What it says before the reason, if one that is set up has failed.
const FAILED: &str = "an error occurred while loading credentials: ";

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Region and endpoint, for people.
    told: String,
    has_endpoint: bool,
    profile: Option<String>,
}

impl Place {
    /// By the arguments, and by what the SDK has found in the environment.
    pub(crate) fn new(args: &TableArgs, config: &SdkConfig) -> Result<Self, Ending> {
        let Some(region) = config.region() else {
            return Err(Ending::usage("no region: name one with --region, or in AWS_REGION"));
        };
        let of_table = args.endpoint_url.clone().or_else(|| set("AWS_ENDPOINT_URL_DYNAMODB"));
        let endpoint = of_table.or_else(|| config.endpoint_url().map(ToOwned::to_owned));
        let told = match &endpoint {
            Some(url) => format!("region {region}, endpoint {url}"),
            None => format!("region {region}"),
        };
        let profile = args.profile.clone().or_else(|| set("AWS_PROFILE"));
        Ok(Self { told, has_endpoint: endpoint.is_some(), profile })
    }

    /// One that needs no credentials.
    #[cfg(feature = "demo")]
    pub(crate) fn of_a_demo(told: &str) -> Self {
        Self { told: told.to_owned(), has_endpoint: true, profile: None }
    }

    /// For people.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// What a person does who has no credentials, for this reason of the SDK. The library's own
    /// advice is for processes.
    pub(crate) fn sign_in(&self, why: &str) -> String {
        if let Some(profile) = undefined_profile(why) {
            let list = "`aws configure list-profiles` has their names";
            return format!("no credentials: there is no profile {profile:?}: {list}");
        }
        let why = match why.rsplit_once(FAILED) {
            _ if why.contains(NOT_SET_UP) => String::new(),
            Some((_, why)) => format!("{}: ", why.trim()),
            None => format!("{}: ", why.trim()),
        };
        let profile = self.profile.as_ref().map(|name| format!(" --profile {name}"));
        format!(
            "no credentials: {why}sign in (`aws sso login{}`), name a profile (--profile, AWS_PROFILE), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{} ({})",
            profile.unwrap_or_default(),
            if self.has_endpoint { "; a local endpoint takes any key" } else { "" },
            self.told,
        )
    }
}

/// The profile that the SDK has not found.
fn undefined_profile(why: &str) -> Option<&str> {
    let (_, rest) = why.split_once("profile `")?;
    let (name, rest) = rest.split_once('`')?;
    rest.starts_with(" was not defined").then_some(name)
}

/// A variable of the environment that is not empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
