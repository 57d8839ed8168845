//! Operators' orders of one circuit: the one under way, and the latest of those that came
//! meanwhile. So what waits is bounded, and a script that tries again does not have each
//! of its tries carried out.

use crate::{
    panics::caught,
    protocol::machine::{Command, CommandResult},
    runtime::sync::oneshot,
};

/// The orders of one circuit. Boxed once there is one: few circuits ever have any.
#[derive(Default)]
pub(super) struct Commands(Option<Box<Given>>);

#[derive(Default)]
struct Given {
    under_way: Option<Giver>,
    next: Option<(Command, Giver)>,
}

/// Who waits for what becomes of an order.
struct Giver(oneshot::Sender<CommandResult>);

impl Giver {
    fn tell(self, ordered: CommandResult) {
        // An operator who went away has no use for it; the waker is code of others.
        caught(|| self.0.send(ordered));
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Commands {
    /// Takes an order. One that has not begun is replaced, and its giver told.
    pub(super) fn push(&mut self, command: Command, reply: oneshot::Sender<CommandResult>) {
        let given = self.0.get_or_insert_default();
        if let Some((_, replaced)) = given.next.replace((command, Giver(reply))) {
            replaced.tell(CommandResult::Replaced);
        }
    }

    /// Begins the order that waits, if none is under way and its giver still waits.
    pub(super) fn begin(&mut self) -> Option<Command> {
        let given = self.0.as_mut()?;
        if given.under_way.is_some() {
            return None;
        }
        let begun = given.next.take().filter(|(_, giver)| !giver.0.is_closed());
        let Some((command, giver)) = begun else {
            self.0 = None;
            return None;
        };
        given.under_way = Some(giver);
        Some(command)
    }

    /// The order under way has ended; its giver is told.
    pub(super) fn end(&mut self, ordered: CommandResult) {
        if let Some(giver) = self.0.as_mut().and_then(|given| given.under_way.take()) {
            giver.tell(ordered);
        }
    }

    /// Whether nobody waits any more for the order under way.
    pub(super) fn is_abandoned(&self) -> bool {
        let under_way = self.0.as_ref().and_then(|given| given.under_way.as_ref());
        under_way.is_some_and(|giver| giver.0.is_closed())
    }

    /// The order under way was withdrawn: nobody waits to be told.
    pub(super) fn end_abandoned(&mut self) {
        if let Some(given) = &mut self.0 {
            given.under_way = None;
        }
    }

    /// Ends the channels of all who wait.
    pub(super) fn clear(&mut self) {
        if let Some(given) = self.0.take() {
            let Given { under_way, next } = *given;
            caught(|| drop(under_way));
            caught(|| drop(next));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn hold(until: i64) -> Command {
        Command::Hold { owner: "hold#".into(), until }
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
        commands.end(CommandResult::Done);
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
        commands.push(Command::Release, reply);
        assert_eq!(commands.begin(), Some(Command::Release));
        assert!(!commands.is_abandoned());
        drop(answer);
        assert!(commands.is_abandoned());
    }
}
