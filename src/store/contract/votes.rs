//! What the contract says of votes, for stores that keep them.

use std::sync::Arc;

use super::{Suite, Violation, cases, join, violation};
use crate::{
    name::CircuitName,
    store::{Ballot, Store, Vote, Votes},
};

fn ballot(voter: &str, vote: Vote, over: &[&str]) -> Ballot {
    let over = over.iter().map(|voter| Arc::from(*voter)).collect();
    Ballot { voter: voter.into(), vote, over, expires_at: 1_700_003_660 }
}

/// Ballots of which each is compared with [`Ballot::apply`].
fn ballots() -> Vec<(&'static str, Ballot)> {
    let vote = |at_ms, epoch| Vote { at_ms, epoch };
    vec![
        ("a first vote", ballot("a", vote(1_700_000_000_001, None), &[])),
        ("a second voter", ballot("b", vote(1_700_000_000_002, Some(1_700_003_630)), &[])),
        ("a vote that is cast again", ballot("a", vote(1_700_000_000_003, Some(-1)), &[])),
        ("a withdrawal", ballot("a!", vote(1_700_000_000_003, Some(-1)), &["a"])),
        (
            "a withdrawal that arrives again",
            ballot("a!", vote(1_700_000_000_003, Some(-1)), &["a"]),
        ),
        ("a vote after its withdrawal", ballot("a", vote(1_700_000_000_001, None), &[])),
        ("a vote that removes some", ballot("c", vote(1_700_000_000_004, None), &["b", "gone"])),
        ("a vote that names itself as over", ballot("c", vote(1_700_000_000_005, None), &["c"])),
    ]
}

impl<S: Store> Suite<'_, S> {
    /// Votes, if the store keeps any.
    pub(super) async fn votes(&mut self) -> Result<(), Violation> {
        let (circuit, _) = self.lead_to(&[]).await?;
        let mut expected = Votes::new();
        for (what, ballot) in ballots() {
            ballot.apply(&mut expected);
            let Some(found) = self.vote(&circuit, &ballot).await? else {
                return Ok(());
            };
            if found != expected {
                return Err(violation(&circuit, what, &expected, &found));
            }
        }
        self.read(&circuit, "a read after votes", None).await?;
        self.votes_beside_a_record().await?;
        self.votes_at_once().await
    }

    /// Neither writes on what the other keeps.
    async fn votes_beside_a_record(&mut self) -> Result<(), Violation> {
        let what = "a vote beside a record";
        for start in cases::starts() {
            let (circuit, record) = self.lead_to(&start.steps).await?;
            let vote = ballot("a", Vote { at_ms: 1, epoch: None }, &[]);
            self.vote(&circuit, &vote).await?;
            self.read(&circuit, what, record.as_ref()).await?;
        }
        Ok(())
    }

    /// Each of several ballots at once is taken, and whoever is last sees all.
    async fn votes_at_once(&mut self) -> Result<(), Violation> {
        let (circuit, _) = self.lead_to(&[]).await?;
        let voters: Vec<_> = (0_i64..20).map(|number| (number, format!("voter{number}"))).collect();
        let all: Vec<_> = voters
            .iter()
            .map(|(number, voter)| ballot(voter, Vote { at_ms: *number, epoch: None }, &[]))
            .collect();
        let mut most = 0;
        for votes in join(all.iter().map(|ballot| self.store.vote(&circuit, ballot))).await {
            let votes =
                votes.map_err(|error| Violation::Store { circuit: circuit.clone(), error })?;
            most = most.max(votes.unwrap_or_default().len());
        }
        if most == all.len() {
            Ok(())
        } else {
            Err(violation(&circuit, "votes at once", &all.len(), &most))
        }
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, Violation> {
        let voted = self.store.vote(circuit, ballot).await;
        voted.map_err(|error| Violation::Store { circuit: circuit.clone(), error })
    }
}
