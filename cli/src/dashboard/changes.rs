//! What the page may order, where it may: the commands `hold`, `disable` and `release`.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use fuseboard::{CircuitName, Hold};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, task::JoinSet};

use super::board::ShownHold;
use crate::{
    circuit,
    orders::{self, Refusal},
    output,
    table::Table,
    text::shown,
    time,
};

/// Carries out what the page orders. Clones are handles of the same.
#[derive(Clone, Debug)]
pub(super) struct Orders(Arc<Given>);

#[derive(Debug)]
struct Given {
    table: Table,
    token: String,
    by: Option<String>,
    /// The orders that have begun; `None` once the dashboard ends.
    tasks: Mutex<Option<JoinSet<()>>>,
}

/// What the page orders, for which circuit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    name: String,
    verb: Verb,
    /// For how long, why and by whom: of a hold.
    #[serde(default)]
    lasts: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    by: Option<String>,
    /// The hold that the page has told of, and that this order ends.
    #[serde(default)]
    ends: Option<ShownHold>,
    /// Holds a circuit without an item, too.
    #[serde(default)]
    new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Hold,
    Disable,
    Release,
}

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Disable => "disable",
            Self::Release => "release",
        }
    }
}

/// What came of an order.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    /// What its write has replaced.
    before: String,
    /// What it has not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Why an order was not carried out, and what it has to say to be.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    error: String,
    /// The hold that it has to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<ShownHold>,
    /// It has to be of a circuit without an item.
    #[serde(skip_serializing_if = "is_false")]
    new: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Refused {
    /// An order that is refused for good.
    fn new(error: impl fmt::Display) -> Self {
        Self { error: error.to_string(), ends: None, new: false }
    }

    /// An order over a hold that it has not named.
    fn over(name: &CircuitName, hold: &circuit::Hold) -> Self {
        let held = orders::holds(name, hold, time::now());
        let ends = Some(ShownHold::new(hold));
        Self { error: format!("{held}. Nothing was written."), ends, new: false }
    }

    fn from(refusal: Refusal, name: &CircuitName, is_hold: bool) -> Self {
        match refusal {
            Refusal::Held(hold) => Self::over(name, &hold),
            Refusal::NoItem(error) => Self { error, ends: None, new: is_hold },
            Refusal::Ending(ending) => Self::new(ending.text().unwrap_or_default()),
        }
    }
}

impl Orders {
    /// Orders for this table, under a token that no other run has had.
    pub(super) fn new(table: Table, by: Option<String>) -> Self {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let tasks = Mutex::new(Some(JoinSet::new()));
        Self(Arc::new(Given { table, token, by, tasks }))
    }

    /// What a request has to carry. The page that the dashboard has answered with has it.
    pub(super) fn token(&self) -> &str {
        &self.0.token
    }

    /// Carries out an order to its end, whether or not somebody still waits for what came of it,
    /// and writes that down. `None` if the dashboard ends.
    pub(super) async fn give(
        &self,
        order: Order,
        then: impl FnOnce() + Send + 'static,
    ) -> Option<Result<Done, Refused>> {
        let (tell, told) = oneshot::channel();
        let orders = self.clone();
        let task = async move {
            let done = orders.carry_out(&order).await;
            then();
            // Whoever has closed the page is not told.
            let _ = tell.send(done);
        };
        {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            let tasks = tasks.as_mut()?;
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
        told.await.ok()
    }

    /// Takes no more orders, and waits for those that have begun.
    pub(super) async fn settle(&self) {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            while tasks.join_next().await.is_some() {}
        }
    }

    /// Carries out an order, and writes down what came of it; the error is for people.
    async fn carry_out(&self, order: &Order) -> Result<Done, Refused> {
        let done = self.try_to(order).await;
        output::note(&format!(
            "{} order: {} of {} by {}; {}\n",
            time::rfc3339(time::seconds(time::now())),
            order.verb.word(),
            shown(&order.name),
            shown(self.by(order).unwrap_or("somebody")),
            match &done {
                Ok((_, before)) => format!("before: {before}"),
                Err(refused) => format!("error: {}", shown(&refused.error)),
            },
        ));
        let (name, before) = done?;
        let tried = self.0.table.dry_run(&name).await;
        Ok(Done { before, note: tried.map(|tried| orders::unread(&name, &tried)) })
    }

    /// Carries out an order, and returns what its write has replaced.
    async fn try_to(&self, order: &Order) -> Result<(CircuitName, String), Refused> {
        let name = CircuitName::new(&order.name).map_err(Refused::new)?;
        let hold = self.asked(order).map_err(Refused::new)?;
        let table = &self.0.table;
        let is_hold = hold.is_some();
        let refused = |refusal| Refused::from(refusal, &name, is_hold);
        let seen = orders::seen(table, &name, order.new && is_hold).await.map_err(refused)?;
        if seen.is_none()
            && let Some(why) = orders::of_another_program(table).await
        {
            return Err(Refused::new(shown(&why)));
        }
        // Nobody's own, as visitors without a name have the same: the page names what it ends.
        let standing = orders::of_somebody_else(seen.as_ref(), None, false);
        if let Some(standing) = standing.filter(|hold| order.ends != Some(ShownHold::new(hold))) {
            return Err(Refused::over(&name, &standing));
        }
        let done = orders::carry_out(table, &name, hold, seen.as_ref()).await.map_err(refused)?;
        let before = done.as_ref().map_or_else(|| "CLOSED".to_owned(), orders::told);
        Ok((name, before))
    }

    /// Who gives an order.
    fn by<'a>(&'a self, order: &'a Order) -> Option<&'a str> {
        let named = |by: &'a Option<String>| by.as_deref().filter(|by| !by.trim().is_empty());
        named(&order.by).or_else(|| named(&self.0.by))
    }

    /// The hold of an order; `None` of a release.
    fn asked(&self, order: &Order) -> Result<Option<Hold>, String> {
        let hold = match order.verb {
            Verb::Hold => Hold::open_for(time::length(&order.lasts)?),
            Verb::Disable => Hold::closed_for(time::length(&order.lasts)?),
            Verb::Release => return Ok(None),
        };
        if order.reason.trim().is_empty() {
            return Err("a hold needs a reason, for people who look".to_owned());
        }
        let by = self.by(order).ok_or("a hold needs the name of who holds the circuit")?;
        Ok(Some(hold.reason(&order.reason).by(by)))
    }
}
