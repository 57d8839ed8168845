//! Lists the records of a table, for operators.
//!
//! By `Scan`, or by `Query` where the key is composite. No circuit sends either, and the
//! role of a process has no permission for them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{DynamoDbStore, date::Dates, fault::Call, item::Item};
use crate::{
    name::{CircuitName, DRY_RUN_SUFFIX, VOTES_SUFFIX},
    protocol::record::Attribute,
    store::{Consistency, Record, StoreError},
};

/// The most items that one page reads: with the attributes of a circuit alone a few hundred
/// kilobytes, which arrive within the timeouts of an operation.
const PAGE_ITEMS: i32 = 1_000;

/// A circuit that has an item in the table, and its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitRecord {
    /// The circuit's name as the table has it: after the
    /// [`prefix`](crate::RegistryBuilder::prefix) of its registries, if they have one.
    pub name: CircuitName,
    /// The record. [`defect`](Record::defect) says whether it is one that processes can use.
    pub record: Record,
}

/// An item of the table that is not a circuit's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherItem {
    /// What processes count together for this circuit: the key ends in `#votes`.
    Votes(CircuitName),
    /// An item of another program ([`Record::is_foreign`]).
    Foreign {
        /// The text of its key; `None` if the attribute that should have the name is missing,
        /// empty, or no text.
        key: Option<String>,
    },
}

/// A page of [`Records`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordsPage {
    /// The circuits, in the order in which DynamoDB shows them.
    pub circuits: Vec<CircuitRecord>,
    /// The records of circuits in a dry run. Their keys end in `#dry-run`; the names here are those
    /// of the circuits, without it.
    pub dry_runs: Vec<CircuitRecord>,
    /// The items that are not circuits'.
    pub others: Vec<OtherItem>,
}

/// The records of a table, read page by page. [`DynamoDbStore::records`] makes it, and nothing is
/// sent before [`next_page`](Self::next_page).
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `next_page`"]
pub struct Records {
    store: DynamoDbStore,
    consistency: Consistency,
    next: Next,
}

/// Where the next page begins.
#[derive(Clone, Debug)]
enum Next {
    First,
    After(Item),
    None,
}

impl DynamoDbStore {
    /// Lists every circuit that has an item in the table, those of Python functions too.
    ///
    /// For operators and their tools. A circuit that never tripped has no item, and that of a
    /// closed one is deleted some time after its `expiration`: what is not listed is closed.
    /// Reads the whole table by `Scan`; with a sort key
    /// ([`sort_key_attr`](super::DynamoDbStoreBuilder::sort_key_attr)) the items of the store's
    /// [`static_pk_value`](super::DynamoDbStoreBuilder::static_pk_value), by `Query`. Needs
    /// `dynamodb:Scan`, or `dynamodb:Query`, which no circuit needs.
    ///
    /// DynamoDB bills a read by the size of the items, 4 kB for half a unit. An item of a circuit
    /// has some 200 bytes: 1,000 circuits cost 25 units each time.
    ///
    /// ```no_run
    /// # async fn example(store: fuseboard::DynamoDbStore) -> Result<(), fuseboard::store::StoreError> {
    /// use fuseboard::{CircuitState, store::Field};
    ///
    /// let mut records = store.records();
    /// while let Some(page) = records.next_page().await? {
    ///     for circuit in page.circuits {
    ///         if circuit.record.state == Field::Valid(CircuitState::Open) {
    ///             println!("{} is open", circuit.name);
    ///         }
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn records(&self) -> Records {
        Records {
            store: self.at_start(&Dates::default()),
            consistency: Consistency::Eventual,
            next: Next::First,
        }
    }
}

impl Records {
    /// Sets the consistency of the pages that follow. Default: [`Eventual`](Consistency::Eventual),
    /// which may miss writes of the last second, and costs half.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// Reads the next page: at most 1,000 items; `None` after the last. A page may be empty.
    ///
    /// A circuit whose item is there from the first page to the last is on one page, once, as it was
    /// when that page was read. One request, with the timeouts of an operation of the store; waits up to 10 s for
    /// credentials.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] of kind
    ///
    /// - [`Misconfigured`](crate::store::StoreErrorKind::Misconfigured): the text says what is
    ///   wrong, and what to do; without a permission, which one;
    /// - any other: as for [`read`](crate::store::Store::read). The next call reads this page
    ///   again.
    ///
    /// # Cancel safety
    ///
    /// No page is lost if the future is dropped: the next call reads it again.
    pub async fn next_page(&mut self) -> Result<Option<RecordsPage>, StoreError> {
        let start = match &self.next {
            Next::First => None,
            Next::After(key) => Some(key.clone()),
            Next::None => return Ok(None),
        };
        let (items, last) = Box::pin(self.store.page(self.consistency, start)).await?;
        self.next = last.map_or(Next::None, Next::After);
        Ok(Some(self.store.sorted_out(&items)))
    }
}

/// The items of a page, and the key of the last one if there may be more.
type Page = (Vec<Item>, Option<Item>);

impl DynamoDbStore {
    async fn page(
        &self,
        consistency: Consistency,
        start: Option<Item>,
    ) -> Result<Page, StoreError> {
        let is_strong = consistency == Consistency::Strong;
        let (partition, sort) = self.key_names();
        match sort {
            None => self.scan(&self.call("scan", None), is_strong, start).await,
            Some(_) => self.query(&self.call("query", None), partition, is_strong, start).await,
        }
    }

    async fn scan(
        &self,
        call: &Call<'_>,
        is_strong: bool,
        start: Option<Item>,
    ) -> Result<Page, StoreError> {
        let (projection, names) = self.projection();
        let request = self
            .client()
            .scan()
            .table_name(call.table)
            .consistent_read(is_strong)
            .limit(PAGE_ITEMS)
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .set_exclusive_start_key(start);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let answer = self.send(call, send).await?.map_err(|error| call.failed(error))?;
        Ok((
            answer.items.unwrap_or_default(),
            answer.last_evaluated_key.filter(|key| !key.is_empty()),
        ))
    }

    async fn query(
        &self,
        call: &Call<'_>,
        partition: &str,
        is_strong: bool,
        start: Option<Item>,
    ) -> Result<Page, StoreError> {
        let (projection, mut names) = self.projection();
        names.insert("#partition".to_owned(), partition.to_owned());
        let value = self.inner.names.static_pk_value.clone().unwrap_or_default();
        let request = self
            .client()
            .query()
            .table_name(call.table)
            .consistent_read(is_strong)
            .limit(PAGE_ITEMS)
            .key_condition_expression("#partition = :partition")
            .expression_attribute_values(":partition", AttributeValue::S(value))
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .set_exclusive_start_key(start);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let answer = self.send(call, send).await?.map_err(|error| call.failed(error))?;
        Ok((
            answer.items.unwrap_or_default(),
            answer.last_evaluated_key.filter(|key| !key.is_empty()),
        ))
    }

    /// The name of each circuit and the attributes of its record: items of other programs may be
    /// large.
    fn projection(&self) -> (String, HashMap<String, String>) {
        let attributes = Attribute::ALL.map(|attribute| self.inner.names.name_of(attribute));
        let wanted = attributes.into_iter().chain([self.name_attribute()]);
        let names: Vec<_> = wanted
            .enumerate()
            .map(|(place, name)| (format!("#a{place}"), name.to_owned()))
            .collect();
        let places: Vec<_> = names.iter().map(|(place, _)| place.as_str()).collect();
        (places.join(", "), names.into_iter().collect())
    }

    /// The attribute that has a circuit's name.
    fn name_attribute(&self) -> &str {
        let (partition, sort) = self.key_names();
        sort.unwrap_or(partition)
    }

    fn sorted_out(&self, items: &[Item]) -> RecordsPage {
        let mut page = RecordsPage::default();
        for item in items {
            self.sort_out(item, &mut page);
        }
        page
    }

    fn sort_out(&self, item: &Item, page: &mut RecordsPage) {
        let key = item.get(self.name_attribute()).and_then(|value| value.as_s().ok());
        let key = key.map(String::as_str).unwrap_or_default();
        let before = |suffix| key.strip_suffix(suffix).and_then(|name| CircuitName::new(name).ok());
        let record = self.inner.names.decode(item);
        // A dry run may have votes, too.
        let voted = key.strip_suffix(VOTES_SUFFIX);
        let voted = voted.map(|name| name.strip_suffix(DRY_RUN_SUFFIX).unwrap_or(name));
        if let Some(name) = voted.and_then(|name| CircuitName::new(name).ok()) {
            page.others.push(OtherItem::Votes(name));
        } else if let Some(name) = before(DRY_RUN_SUFFIX) {
            page.dry_runs.push(CircuitRecord { name, record });
        } else if let (Some(name), false) = (before(""), record.is_foreign()) {
            page.circuits.push(CircuitRecord { name, record });
        } else {
            let key = (!key.is_empty()).then(|| key.to_owned());
            page.others.push(OtherItem::Foreign { key });
        }
    }
}
