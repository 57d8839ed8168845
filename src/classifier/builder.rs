//! Builds a classifier of rules.

use std::{fmt, sync::Arc};

use super::{Classifier, Rule, Rules};
use crate::error::ConfigError;

/// Builds a [`Classifier`]; rules of one kind add up.
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClassifierBuilder<T, E> {
    good: Vec<Rule<T, E>>,
    allow: Vec<Rule<T, E>>,
    deny: Vec<Rule<T, E>>,
}

impl<T, E> ClassifierBuilder<T, E> {
    pub(super) fn new() -> Self {
        Self { good: Vec::new(), allow: Vec::new(), deny: Vec::new() }
    }

    /// Makes successes of the results for which this rule, or another `success_if` rule, returns
    /// `true`, before any other rule is asked. Meant for errors that prove the dependency
    /// alive, as a 404 or a unique violation: such an error ends a streak of failures, and is
    /// a good probe.
    pub fn success_if(
        mut self,
        rule: impl Fn(&Result<T, E>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.good.push(Arc::new(rule));
        self
    }

    /// Makes failures of the results for which this rule, or another `count_if` rule, returns
    /// `true`. Other errors are then ignored: they neither count nor end a streak.
    pub fn count_if(
        mut self,
        rule: impl Fn(&Result<T, E>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.allow.push(Arc::new(rule));
        self
    }

    /// Ignores the results for which this rule, or another `ignore_if` rule, returns `true`.
    /// Every other error is a failure.
    pub fn ignore_if(
        mut self,
        rule: impl Fn(&Result<T, E>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.deny.push(Arc::new(rule));
        self
    }

    /// Checks that the rules do not contradict each other.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if both `count_if` and `ignore_if` were given: a result that neither
    /// selects could then be judged either way.
    pub fn build(self) -> Result<Classifier<T, E>, ConfigError> {
        let rules = match (self.allow.is_empty(), self.deny.is_empty()) {
            (true, true) => Rules::EveryError,
            (false, true) => Rules::Allow(self.allow),
            (true, false) => Rules::Deny(self.deny),
            (false, false) => {
                return Err(ConfigError::new(
                    "classifier",
                    (self.allow.len(), self.deny.len()),
                    "must have rules of one kind, count_if or ignore_if, not both",
                ));
            }
        };
        Ok(Classifier { good: self.good, rules })
    }
}

impl<T, E> fmt::Debug for ClassifierBuilder<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassifierBuilder")
            .field("good", &self.good.len())
            .field("allow", &self.allow.len())
            .field("deny", &self.deny.len())
            .finish()
    }
}
