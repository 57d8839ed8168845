//! The table: how it is reached, and what is read from it.

use std::{collections::BTreeSet, time::Duration};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use fuseboard::{
    Breaker, BreakerRegistry, CircuitName, Config, DynamoDbStore,
    store::{
        CircuitRecord, Consistency, DynamoDbStoreBuilder, Misconfiguration, OtherItem, Store as _,
        StoreError, StoreErrorKind, VerifyError,
    },
};

use crate::{args::TableArgs, circuit::Circuit, ending::Ending, near, place::Place, text::shown};

/// What the library says around why it has no credentials.
const NO_CREDENTIALS: &str = ": no credentials: ";
const ADVICE: &str = " (give this process credentials";

/// A table of circuits.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) store: DynamoDbStore,
    pub(crate) name: String,
    place: Place,
    pub(crate) prefix: String,
    timeout: Duration,
}

/// What is in a table.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Those that reject calls first, and then by name.
    pub(crate) circuits: Vec<Circuit>,
    pub(crate) dry_runs: Vec<Circuit>,
    /// Items of votes.
    pub(crate) votes: usize,
    /// Items of other programs.
    pub(crate) foreign: usize,
    /// The key of one of them.
    pub(crate) example: Option<String>,
    /// Items without the attribute that should have a name.
    pub(crate) unnamed: usize,
    /// Circuits that do not have the prefix, also those of which there are dry runs or votes alone.
    pub(crate) of_other_prefixes: BTreeSet<String>,
    /// Processes count votes for a circuit that has the prefix.
    has_votes: bool,
}

/// Why no circuit is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// All are closed.
    Closed,
    /// The prefix may be another.
    OtherPrefix,
    /// The table is another program's.
    OtherProgram,
    /// The attribute of the key is another.
    OtherKey,
}

impl Table {
    /// Reads region and credentials from the environment. Sends nothing to the table.
    pub(crate) async fn open(args: &TableArgs) -> Result<Self, Ending> {
        let Some(name) = args.table.clone() else {
            return Err(Ending::usage("no table: name it with --table, or in FUSEBOARD_TABLE"));
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &args.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &args.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = &args.profile {
            loader = loader.profile_name(profile);
        }
        let config = Box::pin(loader.load()).await;
        let place = Place::new(args, &config)?;
        let store = named(DynamoDbStore::builder(Client::new(&config), &name), args)?
            .operation_timeout(args.timeout)
            .build()
            .map_err(Ending::usage)?;
        Ok(Self { store, name, place, prefix: args.prefix.clone(), timeout: args.timeout })
    }

    /// A table that is reached by this store.
    #[cfg(feature = "demo")]
    pub(crate) fn of(store: DynamoDbStore, name: String, place: Place, timeout: Duration) -> Self {
        Self { store, name, place, prefix: String::new(), timeout }
    }

    /// Where requests go to, for people.
    pub(crate) fn place(&self) -> &str {
        self.place.told()
    }

    /// The key of a circuit's item.
    pub(crate) fn key(&self, name: &CircuitName) -> Result<CircuitName, Ending> {
        CircuitName::new(format!("{}{}", self.prefix, name.as_str())).map_err(Ending::usage)
    }

    /// Reads the record of a circuit; `None` if it has no item.
    pub(crate) async fn read(
        &self,
        name: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Circuit>, Ending> {
        let found = self.find(name, &self.key(name)?, consistency).await;
        found.map_err(|error| Ending::Failed(self.explain(&error)))
    }

    /// Reads the record of a circuit with this key; `None` if it has no item.
    pub(crate) async fn find(
        &self,
        name: &CircuitName,
        key: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Circuit>, StoreError> {
        let record = self.store.read(key, consistency).await?;
        let (name, key) = (name.as_str().to_owned(), key.as_str().to_owned());
        Ok(record.map(|record| Circuit { name, key, record }))
    }

    /// The record by which processes try a circuit, if some do; `None` also if nobody may read it.
    pub(crate) async fn dry_run(&self, name: &CircuitName) -> Option<Circuit> {
        let key = self.key(name).ok()?.dry_run_key().ok()?;
        self.find(name, &key, Consistency::Strong).await.ok()?
    }

    /// Returns the key of an item of another program, if the table has such items and no circuit
    /// among the first that it shows.
    pub(crate) async fn of_others(&self) -> Result<Option<String>, StoreError> {
        let mut records = self.store.records();
        while let Some(page) = records.next_page().await? {
            let mut example = None;
            for other in page.others {
                match other {
                    OtherItem::Foreign { key } => {
                        example.get_or_insert(key.unwrap_or_default());
                    }
                    // The rest is of later versions of the library.
                    OtherItem::Votes(_) | _ => return Ok(None),
                }
            }
            if !page.circuits.is_empty() || !page.dry_runs.is_empty() || example.is_some() {
                return Ok(example.filter(|_| page.circuits.is_empty() && page.dry_runs.is_empty()));
            }
        }
        Ok(None)
    }

    /// Reads the record of a circuit that has to be one's.
    pub(crate) async fn known(&self, name: &CircuitName) -> Result<Circuit, Ending> {
        match self.read(name, Consistency::Strong).await? {
            Some(circuit) if circuit.record.is_foreign() => {
                Err(Ending::Failed(self.not_a_circuits(name)))
            }
            Some(circuit) => Ok(circuit),
            None => Err(Ending::NotFound(self.unknown(name).await)),
        }
    }

    /// What is said of an item that is another program's.
    pub(crate) fn not_a_circuits(&self, name: &CircuitName) -> String {
        format!(
            "the item of {name} in table {:?} is not a circuit's, and was left as it is: is this the table?",
            self.name
        )
    }

    /// What is said of a circuit that has no item: which names are near.
    pub(crate) async fn unknown(&self, name: &CircuitName) -> String {
        let mut text = format!(
            "no item of {name} in table {:?}: it never tripped and is closed, or it has another name",
            self.name
        );
        if self.dry_run(name).await.is_some() {
            text += &format!("; {name} is only tried out (dry run), which no order reaches");
        }
        // Who may not list hears the rest.
        if let Ok(listing) = self.list(Consistency::Eventual).await {
            let names = listing.circuits.iter().map(|circuit| circuit.name.as_str());
            let near = near::names(name.as_str(), names);
            if !near.is_empty() {
                text += &format!("; did you mean {}?", near.join(", "));
            } else if !listing.circuits.is_empty() {
                text += "; `fuseboard list` shows those that have one";
            } else if !listing.of_other_prefixes.is_empty() {
                text += &format!("; no item has the prefix {:?}", self.prefix);
            }
        }
        text
    }

    /// Lists the table.
    pub(crate) async fn list(&self, consistency: Consistency) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        let mut records = self.store.records().consistency(consistency);
        while let Some(page) = records.next_page().await? {
            for found in page.circuits {
                match self.own(found) {
                    Ok(circuit) => listing.circuits.push(circuit),
                    Err(other) => _ = listing.of_other_prefixes.insert(other),
                }
            }
            for found in page.dry_runs {
                match self.own(found) {
                    Ok(circuit) => listing.dry_runs.push(circuit),
                    Err(other) => _ = listing.of_other_prefixes.insert(other),
                }
            }
            for other in page.others {
                listing.note(other, &self.prefix);
            }
        }
        listing.circuits.sort_by(|one, other| one.name.cmp(&other.name));
        listing.dry_runs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listing)
    }

    /// The circuit of a record; the error is the name of one that does not have the prefix.
    fn own(&self, found: CircuitRecord) -> Result<Circuit, String> {
        let key = found.name.as_str();
        match without(key, &self.prefix) {
            Some(name) => {
                Ok(Circuit { name: name.to_owned(), key: key.to_owned(), record: found.record })
            }
            None => Err(key.to_owned()),
        }
    }

    /// A breaker of this circuit, for a command. The registry has to live as long.
    pub(crate) fn breaker(&self, name: &CircuitName) -> Result<(BreakerRegistry, Breaker), Ending> {
        let config = Config::builder().store_timeout(self.timeout).build();
        let registry = BreakerRegistry::builder(self.store.clone())
            .config(config.map_err(Ending::usage)?)
            .prefix(&self.prefix)
            // The environment may be that of a function whose breakers are disabled.
            .disabled(false)
            .spawn()
            .map_err(Ending::usage)?;
        let breaker = registry.breaker(name).map_err(Ending::usage)?;
        Ok((registry, breaker))
    }

    /// The error of a request, and where it was sent, as that may be what is wrong.
    pub(crate) fn explain(&self, error: &StoreError) -> String {
        if error.kind() == StoreErrorKind::Throttled {
            return format!("{error}: try again");
        }
        let text = error.to_string();
        match text.split_once(NO_CREDENTIALS).and_then(|(_, why)| why.split_once(ADVICE)) {
            Some((why, _)) => self.place.sign_in(why),
            None => format!("{text} ({})", self.place.told()),
        }
    }

    /// What is wrong with the table, as the library's `verify` has found it.
    pub(crate) fn explain_faults(&self, error: &VerifyError) -> String {
        // Without credentials nothing else was found.
        let why = error.faults().iter().find_map(|fault| {
            if let Misconfiguration::NoCredentials { why } = fault { Some(why) } else { None }
        });
        why.map_or_else(|| error.to_string(), |why| self.place.sign_in(why))
    }
}

impl Listing {
    /// Why no circuit is shown; `None` if some are.
    pub(crate) fn why_nothing(&self) -> Option<Nothing> {
        if !self.circuits.is_empty() {
            return None;
        }
        // One item of theirs has them in the right place.
        let is_theirs = !self.dry_runs.is_empty() || self.has_votes;
        Some(match (self.of_other_prefixes.len(), self.unnamed, self.foreign) {
            _ if is_theirs => Nothing::Closed,
            (0, 0, 0) => Nothing::Closed,
            (0, 0, _) => Nothing::OtherProgram,
            (0, ..) => Nothing::OtherKey,
            _ => Nothing::OtherPrefix,
        })
    }

    /// What is said where no circuit is shown: whether that is good, or the wrong place to look.
    pub(crate) fn nothing(&self, table: &Table) -> Option<String> {
        let (name, prefix) = (&table.name, &table.prefix);
        let of_prefix =
            if prefix.is_empty() { String::new() } else { format!(" of prefix {prefix:?}") };
        let (unnamed, foreign) = (self.unnamed, self.foreign);
        Some(match self.why_nothing()? {
            Nothing::Closed => {
                format!("no circuit{of_prefix} has an item in table {name:?}: all are closed")
            }
            Nothing::OtherProgram => {
                let items = if foreign == 1 { "item" } else { "items" };
                let example = shown(self.example.as_deref().unwrap_or_default());
                format!(
                    "no circuit{of_prefix} has an item in table {name:?}, which has {foreign} {items} of other programs, such as \"{example}\": is it the table of circuits?"
                )
            }
            Nothing::OtherKey => format!(
                "no item of table {name:?} has the key that is asked for ({unnamed} of {} have none): set --key-attr, --sort-key-attr",
                unnamed.saturating_add(foreign),
            ),
            Nothing::OtherPrefix => {
                let others = match self.of_other_prefixes.len() {
                    1 => "1 circuit of another prefix has".to_owned(),
                    others => format!("{others} circuits of other prefixes have"),
                };
                format!("no circuit{of_prefix} has an item; {others}: is the prefix right?")
            }
        })
    }

    /// Counts an item that is no circuit's, in a listing of this prefix.
    fn note(&mut self, other: OtherItem, prefix: &str) {
        match other {
            OtherItem::Votes(of) => {
                self.votes = self.votes.saturating_add(1);
                if without(of.as_str(), prefix).is_some() {
                    self.has_votes = true;
                } else {
                    self.of_other_prefixes.insert(of.as_str().to_owned());
                }
            }
            OtherItem::Foreign { key } => match key {
                Some(key) => {
                    self.foreign = self.foreign.saturating_add(1);
                    self.example.get_or_insert(key);
                }
                None => self.unnamed = self.unnamed.saturating_add(1),
            },
            // Of later versions of the library.
            _ => {}
        }
    }
}

/// The name of a circuit with this key; `None` if it does not have the prefix.
fn without<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix).filter(|name| !name.is_empty())
}

/// The builder with the names of the arguments.
fn named(
    mut builder: DynamoDbStoreBuilder,
    args: &TableArgs,
) -> Result<DynamoDbStoreBuilder, Ending> {
    if let Some(name) = &args.key_attr {
        builder = builder.key_attr(name);
    }
    if let Some(name) = &args.sort_key_attr {
        builder = builder.sort_key_attr(name);
    }
    if let Some(value) = &args.static_pk_value {
        builder = builder.static_pk_value(value);
    }
    for (name, attribute) in &args.attr {
        builder = renamed(builder, name, attribute)?;
    }
    Ok(builder)
}

/// The builder with one attribute renamed.
fn renamed(
    builder: DynamoDbStoreBuilder,
    name: &str,
    attribute: &str,
) -> Result<DynamoDbStoreBuilder, Ending> {
    Ok(match name {
        "state" => builder.state_attr(attribute),
        "failure_count" => builder.failure_count_attr(attribute),
        "opened_at" => builder.opened_at_attr(attribute),
        "half_open_owner" => builder.half_open_owner_attr(attribute),
        "probe_lease_expiry" => builder.probe_lease_expiry_attr(attribute),
        "expiry" | "expiration" => builder.expiry_attr(attribute),
        "success_count" => builder.success_count_attr(attribute),
        "released" => builder.released_attr(attribute),
        "failed_probes" => builder.failed_probes_attr(attribute),
        "open_until" => builder.open_until_attr(attribute),
        "hold" => builder.hold_attr(attribute),
        "hold_until" => builder.hold_until_attr(attribute),
        "hold_by" => builder.hold_by_attr(attribute),
        "hold_reason" => builder.hold_reason_attr(attribute),
        "down_since" => builder.down_since_attr(attribute),
        "cause" => builder.cause_attr(attribute),
        name => {
            let text = format!(
                "--attr: a circuit's item has no {name:?}; the names are those of the library's builder, without _attr"
            );
            return Err(Ending::Usage(text));
        }
    })
}
