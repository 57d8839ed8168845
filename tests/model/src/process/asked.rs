//! What the store is asked: the next write, or the read that has to come before it.

use crate::{
    item::{FULL, Item, Stamp, Write},
    process::{Election, Job, OFFERED, Ours, Phase, Process, Want},
    shared::{Rules, Shared},
    weak::Weak,
};

impl Process {
    /// Makes the next write; after one of unknown outcome, what is true is read first.
    pub(super) fn dispatch(&mut self, shared: &mut Shared, rules: &Rules) {
        let Some(want) = self.want else { return };
        if self.job.is_some() || self.drops_old_trip(shared, rules) {
            return;
        }
        let over_another = want == Want::Trip && !Item::is_closed(self.record());
        if !self.certain || over_another {
            self.job = Some(Job::Read(shared.item));
            return;
        }
        if shared.writes >= rules.writes {
            return;
        }
        match self.write(want, shared, rules) {
            Some(write) => {
                self.judge(&write, shared);
                let number = shared.send(write);
                self.job = Some(Job::Write { number, write, landed: 0, answer: None });
            }
            None => self.want = None,
        }
    }

    fn write(&mut self, want: Want, shared: &mut Shared, rules: &Rules) -> Option<Write> {
        let token = shared.writes + 1;
        let known = self.record().and_then(|item| item.lease);
        let at = shared.tick(rules);
        let lease = FULL + at;
        Some(match want {
            Want::Trip => {
                let Phase::Open { opened, counted, .. } = self.phase else { return None };
                let seen = self.record();
                let counted = seen.map(|_| counted).filter(|counted| *counted != OFFERED);
                Write::Trip { seen, opened, counted, at }
            }
            Want::Elect => {
                let seen = self.record()?;
                self.election = Some(Election { token, at, lease, count: 0, won: false });
                Write::Elect { seen, token, at }
            }
            Want::ElectAbsent => {
                let Phase::Gone { opened } = self.phase else { return None };
                self.election = Some(Election { token, at, lease, count: 0, won: false });
                Write::ElectAbsent { opened: if opened == 0 { at } else { opened }, token, at }
            }
            Want::TakeOver => {
                let seen = self.record()?;
                let count = seen.count.unwrap_or(0);
                self.election = Some(Election { token, at, lease, count, won: false });
                Write::TakeOver { seen, token, at }
            }
            Want::Renew { starts } => {
                let Ours { token, .. } = self.ours()?;
                let lease = lease.max(known.unwrap_or(0) + 1);
                Write::Renew { token, lease: self.later_lease(lease, rules), starts, at }
            }
            Want::HandOver => {
                let Ours { token, successes: count, .. } = self.ours()?;
                let lease = shared.handed_over(at, rules);
                Write::HandOver { token, known, count, lease, at }
            }
            Want::GiveBack => {
                let Ours { token, successes: count, .. } = self.ours()?;
                let lease = shared.given_back(at, rules);
                Write::GiveBack { token, known, count, lease, at }
            }
            Want::Close { token } => {
                let live = self.ours().is_none_or(|ours| ours.leased > shared.lapsed);
                Write::Close { token, live, at }
            }
            Want::Reopen { token, opened } => Write::Reopen { token, opened, at },
        })
    }

    /// Later than every lease before it under the same token.
    fn later_lease(&mut self, lease: Stamp, rules: &Rules) -> Stamp {
        match &mut self.election {
            Some(election) if rules.weak != Weak::RepeatedLease => {
                election.lease = lease.max(election.lease + 1);
                election.lease
            }
            Some(_) | None => lease,
        }
    }
}
