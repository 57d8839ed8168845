//! Votes, in an item beside the circuit's: its key with `#votes` after it. Programs that replace
//! the circuit's own item, as Powertools does, leave this one alone.
//!
//! One unconditional `UpdateItem` casts a vote and shows all of them, so that voting and counting
//! are one request. Each vote is an attribute, `vote#` and the voter; so is each withdrawal.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::{
    DynamoDbStore,
    item::{AttributeNames, Item},
};
use crate::{
    name::CircuitName,
    protocol::record::Attribute,
    store::{Ballot, StoreError, Vote, Votes},
};

/// What the name of an attribute begins with that is a vote.
const PREFIX: &str = "vote#";

impl DynamoDbStore {
    pub(super) async fn ballot(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Votes, StoreError> {
        let call = self.call("vote", Some(circuit));
        let key = self.key_of(call, &circuit.votes_key())?;
        let sent = Sent::new(&self.inner.names, ballot);
        let request = self
            .client()
            .update_item()
            .table_name(call.table)
            .set_key(Some(key))
            .update_expression(sent.update)
            .set_expression_attribute_names(Some(sent.names))
            .set_expression_attribute_values(Some(sent.values))
            .return_values(ReturnValue::AllNew);
        let send = |overrides| request.clone().customize().config_override(overrides).send();
        let answer = self.send(&call, send).await?.map_err(|error| call.failed(error))?;
        match answer.attributes.filter(|item| !item.is_empty()) {
            Some(item) => Ok(decode(&item)),
            None => Err(call.bad_answer("the answer does not show the votes")),
        }
    }
}

/// The update of one ballot.
#[derive(Debug, PartialEq)]
struct Sent {
    update: String,
    names: HashMap<String, String>,
    values: Item,
}

impl Sent {
    fn new(attributes: &AttributeNames, ballot: &Ballot) -> Self {
        let name_of = |voter: &str| format!("{PREFIX}{voter}");
        let expiry = attributes.name_of(Attribute::ExpiresAt).to_owned();
        let mut names = HashMap::from([
            ("#expiration".to_owned(), expiry),
            ("#me".to_owned(), name_of(&ballot.voter)),
        ]);
        let expires_at = AttributeValue::N(ballot.expires_at.to_string());
        let values = HashMap::from([
            (":expiration".to_owned(), expires_at),
            (":vote".to_owned(), AttributeValue::S(ballot.vote.to_string())),
        ]);
        let mut update = "SET #expiration = :expiration, #me = :vote".to_owned();
        let mut removed = Vec::new();
        // An attribute must not come twice in an update.
        let others: BTreeSet<_> = ballot.over.iter().filter(|it| **it != ballot.voter).collect();
        for (number, voter) in others.into_iter().enumerate() {
            let placeholder = format!("#over{number}");
            names.insert(placeholder.clone(), name_of(voter));
            removed.push(placeholder);
        }
        if !removed.is_empty() {
            update.push_str(" REMOVE ");
            update.push_str(&removed.join(", "));
        }
        Self { update, names, values }
    }
}

/// Reads the votes of an item. Its key, its expiry and what others have added are none.
fn decode(item: &Item) -> Votes {
    let votes = item.iter().filter_map(|(name, value)| {
        let voter = Arc::<str>::from(name.strip_prefix(PREFIX)?);
        let vote = value.as_s().ok().and_then(|text| text.parse().ok());
        Some((voter, vote.unwrap_or(Vote::OVER)))
    });
    votes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(vote: Vote, over: &[&str]) -> Ballot {
        let over = over.iter().map(|voter| Arc::from(*voter)).collect();
        Ballot { voter: "a".into(), vote, over, expires_at: 1_700_003_660 }
    }

    #[test]
    fn a_ballot_names_each_attribute_once() {
        let vote = Vote { at_ms: 1_700_000_000_123, epoch: Some(1_700_003_630) };
        let cast = Sent::new(&AttributeNames::default(), &ballot(vote, &["b", "a", "b", "c"]));
        let removes = "REMOVE #over0, #over1";
        assert_eq!(cast.update, format!("SET #expiration = :expiration, #me = :vote {removes}"));
        assert_eq!(cast.names.len(), 4);
        assert_eq!(cast.names["#me"], "vote#a");
        assert_eq!(cast.names["#over1"], "vote#c");
        let text = AttributeValue::S("1700000000123 1700003630".to_owned());
        assert_eq!(cast.values[":vote"], text);
        let alone = Sent::new(&AttributeNames::default(), &ballot(vote, &[]));
        assert_eq!(alone.update, "SET #expiration = :expiration, #me = :vote");
    }

    #[test]
    fn what_is_no_vote_is_none_and_one_that_cannot_be_read_is_over() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let item = HashMap::from([
            ("id".to_owned(), text("payments#votes")),
            ("expiration".to_owned(), AttributeValue::N("1".to_owned())),
            ("vote#a".to_owned(), text("5 -")),
            ("vote#b".to_owned(), text("soon")),
            ("vote#c".to_owned(), AttributeValue::Null(true)),
        ]);
        let votes = decode(&item);
        assert_eq!(votes.len(), 3);
        assert_eq!(votes["a"], Vote { at_ms: 5, epoch: None });
        assert_eq!((votes["b"], votes["c"]), (Vote::OVER, Vote::OVER));
    }
}
