//! Operators' commands for one circuit: the command in progress, and the latest of those that
//! came in the meantime. So the queue is bounded, and a script that retries every second does
//! not have each of its tries carried out.

use crate::{
    panics::caught,
    protocol::machine::{CommandResult, Order},
    runtime::sync::oneshot,
};

/// The commands of one circuit. Boxed once there is one: few circuits ever have any.
#[derive(Default)]
pub(super) struct Commands(Option<Box<Queued>>);

#[derive(Default)]
struct Queued {
    in_progress: Option<Operator>,
    next: Option<(Order, Operator)>,
}

/// The operator that waits for the result of a command.
struct Operator(oneshot::Sender<CommandResult>);

impl Operator {
    fn tell(self, result: CommandResult) {
        // The operator may have given up. Its waker is not our code, and may panic.
        caught(|| self.0.send(result));
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Commands {
    /// Queues a command. It replaces one that has not begun: that operator gets
    /// [`CommandResult::Replaced`].
    pub(super) fn push(&mut self, order: Order, reply: oneshot::Sender<CommandResult>) {
        let queued = self.0.get_or_insert_default();
        if let Some((_, replaced)) = queued.next.replace((order, Operator(reply))) {
            replaced.tell(CommandResult::Replaced);
        }
    }

    /// Begins the queued command, if none is in progress and its operator still waits.
    pub(super) fn begin(&mut self) -> Option<Order> {
        let queued = self.0.as_mut()?;
        if queued.in_progress.is_some() {
            return None;
        }
        let begun = queued.next.take().filter(|(_, operator)| !operator.0.is_closed());
        let Some((order, operator)) = begun else {
            self.0 = None;
            return None;
        };
        queued.in_progress = Some(operator);
        Some(order)
    }

    /// Ends the command in progress, and sends its operator the result.
    pub(super) fn end(&mut self, result: CommandResult) {
        if let Some(operator) = self.0.as_mut().and_then(|queued| queued.in_progress.take()) {
            operator.tell(result);
        }
    }

    /// Returns `true` if the operator of the command in progress has given up.
    pub(super) fn is_abandoned(&self) -> bool {
        let in_progress = self.0.as_ref().and_then(|queued| queued.in_progress.as_ref());
        in_progress.is_some_and(|operator| operator.0.is_closed())
    }

    /// Ends the command in progress, which was withdrawn. Its operator has given up.
    pub(super) fn end_abandoned(&mut self) {
        if let Some(queued) = &mut self.0 {
            queued.in_progress = None;
        }
    }

    /// Drops all commands: their operators find their channels closed.
    pub(super) fn clear(&mut self) {
        if let Some(queued) = self.0.take() {
            let Queued { in_progress, next } = *queued;
            caught(|| drop(in_progress));
            caught(|| drop(next));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        hold::HoldKind,
        protocol::{machine::Command, record::HoldTerms},
    };

    fn hold(until: i64) -> Order {
        let terms = HoldTerms { until, by: None, reason: "".into() };
        Command::Hold(HoldKind::Open, terms).into()
    }

    #[test]
    fn case_202_a_later_order_replaces_the_one_that_has_not_begun() {
        let mut commands = Commands::default();
        let mut answers = Vec::new();
        for until in 1..=4 {
            let (reply, answer) = oneshot::channel();
            commands.push(hold(until), reply);
            answers.push(answer);
            assert_eq!(commands.begin(), (until == 1).then(|| hold(1)));
        }
        let mut told = answers.iter_mut().map(|answer| answer.now_or_never());
        assert_eq!(told.next(), Some(None), "it has begun");
        assert_eq!(told.next(), Some(Some(Ok(CommandResult::Replaced))));
        assert_eq!(told.next(), Some(Some(Ok(CommandResult::Replaced))));
        assert_eq!(told.next(), Some(None), "it is the latest");
        commands.end(CommandResult::Done(None));
        assert_eq!(commands.begin(), Some(hold(4)));
    }

    #[test]
    fn case_202_an_order_whose_giver_has_gone_does_not_begin() {
        let mut commands = Commands::default();
        let (reply, answer) = oneshot::channel();
        commands.push(hold(1), reply);
        drop(answer);
        assert_eq!(commands.begin(), None);
        assert!(commands.0.is_none(), "nothing is kept");
        let (reply, answer) = oneshot::channel();
        commands.push(Command::Release.into(), reply);
        assert_eq!(commands.begin(), Some(Command::Release.into()));
        assert!(!commands.is_abandoned());
        drop(answer);
        assert!(commands.is_abandoned());
    }
}
