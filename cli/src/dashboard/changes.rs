//! What the page may order, where it may: the commands `hold`, `disable` and `release`.

use std::sync::Arc;

use fuseboard::{CircuitName, Hold};
use serde::Deserialize;

use crate::{ending::Ending, orders, table::Table, time};

/// Carries out what the page orders. Clones are handles of the same.
#[derive(Clone, Debug)]
pub(super) struct Orders(Arc<Given>);

#[derive(Debug)]
struct Given {
    table: Table,
    token: String,
    by: Option<String>,
}

/// What the page orders.
#[derive(Debug, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Order {
    Hold { name: String, lasts: String, reason: String, by: Option<String> },
    Disable { name: String, lasts: String, reason: String, by: Option<String> },
    Release { name: String },
}

impl Orders {
    /// Orders for this table, under a token that no other run has had.
    pub(super) fn new(table: Table, by: Option<String>) -> Self {
        let token = uuid::Uuid::new_v4().simple().to_string();
        Self(Arc::new(Given { table, token, by }))
    }

    /// What a request has to carry. The page that the dashboard has answered with has it.
    pub(super) fn token(&self) -> &str {
        &self.0.token
    }

    /// Carries out an order; the error is a text for people.
    pub(super) async fn carry_out(&self, order: Order) -> Result<(), String> {
        let (name, hold) = match order {
            Order::Hold { name, lasts, reason, by } => {
                let hold = Hold::open_for(time::length(&lasts)?);
                (name, Some(self.signed(hold, reason, by)?))
            }
            Order::Disable { name, lasts, reason, by } => {
                let hold = Hold::closed_for(time::length(&lasts)?);
                (name, Some(self.signed(hold, reason, by)?))
            }
            Order::Release { name } => (name, None),
        };
        let name = CircuitName::new(name).map_err(|error| error.to_string())?;
        // The page lists what has an item: one without is not this table's, or was just deleted.
        let done = async {
            self.0.table.known(&name).await?;
            orders::carry_out(&self.0.table, &name, hold).await
        };
        Box::pin(done).await.map_err(|ending: Ending| ending.text().unwrap_or_default())
    }

    /// A hold with why, and by whom.
    fn signed(&self, hold: Hold, reason: String, by: Option<String>) -> Result<Hold, String> {
        if reason.trim().is_empty() {
            return Err("a hold needs a reason, for people who look".to_owned());
        }
        let hold = hold.reason(reason);
        let by = by.filter(|by| !by.trim().is_empty()).or_else(|| self.0.by.clone());
        Ok(match by {
            Some(by) => hold.by(by),
            None => hold,
        })
    }
}
