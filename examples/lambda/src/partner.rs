//! The dependency: an HTTP API.

use lambda_runtime::Error;
use reqwest::Client;
use serde::Deserialize;

use crate::{Answer, orders::Order};

pub(crate) struct Partner {
    http: Client,
    url: String,
}

#[derive(Deserialize)]
struct Receipt {
    receipt: String,
}

impl Partner {
    pub(crate) fn new(url: &str) -> Self {
        Self { http: Client::new(), url: url.to_owned() }
    }

    /// Charges an order. Each error counts against the partner; a refusal is an answer.
    pub(crate) async fn charge(&self, order: &Order) -> Result<Answer, Error> {
        let response = self.http.post(&self.url).json(order).send().await?;
        if response.status().is_client_error() {
            return Ok(Answer::Refused { status: response.status().as_u16() });
        }
        let Receipt { receipt } = response.error_for_status()?.json().await?;
        Ok(Answer::Charged { receipt })
    }
}
