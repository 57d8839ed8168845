//! Classifiers: judge which results of a call count against the dependency.

use std::{fmt, sync::Arc};

use crate::{error::ConfigError, outcome::Outcome};

type Rule<T, E> = Arc<dyn Fn(&Result<T, E>) -> bool + Send + Sync>;

/// Judges the whole `Result` of a call, so that an `Ok` with status 503 can count as a failure.
///
/// Without a classifier every `Err` is a failure and every `Ok` a success. With
/// rules, either
///
/// - an allow-list: only the results that [`count_if`](ClassifierBuilder::count_if) selects
///   are failures, any other `Err` is ignored, any other `Ok` is a success; or
/// - a deny-list: the results that [`ignore_if`](ClassifierBuilder::ignore_if) selects are
///   ignored, any other `Err` is a failure, any other `Ok` is a success.
///
/// Besides, or alone, the results that [`success_if`](ClassifierBuilder::success_if) selects
/// are successes. It comes before the other rules.
///
/// Rules are closures; the compiler needs their types, on the classifier as here, or on the
/// argument.
///
/// ```
/// use fuseboard::{Classifier, Outcome};
///
/// let by_status = Classifier::<u16, std::io::Error>::builder()
///     .count_if(|result| matches!(result, Ok(status) if *status >= 500) || result.is_err())
///     .build()?;
/// assert_eq!(by_status.judge(&Ok(503)), Outcome::Failure);
/// assert_eq!(by_status.judge(&Ok(404)), Outcome::Success);
///
/// let both = Classifier::<u16, std::io::Error>::builder()
///     .count_if(|result| result.is_err())
///     .ignore_if(|result| result.is_ok());
/// assert!(both.build().is_err());
/// # Ok::<(), fuseboard::ConfigError>(())
/// ```
pub struct Classifier<T, E> {
    good: Vec<Rule<T, E>>,
    rules: Rules<T, E>,
}

enum Rules<T, E> {
    EveryError,
    Allow(Vec<Rule<T, E>>),
    Deny(Vec<Rule<T, E>>),
}

impl<T, E> Classifier<T, E> {
    /// Returns a builder without rules.
    pub fn builder() -> ClassifierBuilder<T, E> {
        ClassifierBuilder { good: Vec::new(), allow: Vec::new(), deny: Vec::new() }
    }

    /// Judges one result.
    pub fn judge(&self, result: &Result<T, E>) -> Outcome {
        let unlisted = |result: &Result<T, E>| match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure,
        };
        if self.good.iter().any(|rule| rule(result)) {
            return Outcome::Success;
        }
        match &self.rules {
            Rules::EveryError => unlisted(result),
            Rules::Allow(rules) if rules.iter().any(|rule| rule(result)) => Outcome::Failure,
            Rules::Allow(_) => match result {
                Ok(_) => Outcome::Success,
                Err(_) => Outcome::Ignored,
            },
            Rules::Deny(rules) if rules.iter().any(|rule| rule(result)) => Outcome::Ignored,
            Rules::Deny(_) => unlisted(result),
        }
    }
}

impl<T, E> Default for Classifier<T, E> {
    fn default() -> Self {
        Self { good: Vec::new(), rules: Rules::EveryError }
    }
}

impl<T, E> Clone for Classifier<T, E> {
    fn clone(&self) -> Self {
        let rules = match &self.rules {
            Rules::EveryError => Rules::EveryError,
            Rules::Allow(rules) => Rules::Allow(rules.clone()),
            Rules::Deny(rules) => Rules::Deny(rules.clone()),
        };
        Self { good: self.good.clone(), rules }
    }
}

impl<T, E> fmt::Debug for Classifier<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, rules) = match &self.rules {
            Rules::EveryError => ("every error", 0),
            Rules::Allow(rules) => ("allow-list", rules.len()),
            Rules::Deny(rules) => ("deny-list", rules.len()),
        };
        f.debug_struct("Classifier")
            .field("kind", &kind)
            .field("rules", &rules)
            .field("good", &self.good.len())
            .finish()
    }
}

/// Builds a [`Classifier`]; rules of one kind add up.
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClassifierBuilder<T, E> {
    good: Vec<Rule<T, E>>,
    allow: Vec<Rule<T, E>>,
    deny: Vec<Rule<T, E>>,
}

impl<T, E> ClassifierBuilder<T, E> {
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

#[cfg(test)]
mod tests {
    use super::{Classifier, ClassifierBuilder, Outcome};

    type Change = fn(ClassifierBuilder<u16, u16>) -> ClassifierBuilder<u16, u16>;

    #[test]
    fn case_158_an_error_that_is_an_answer_is_a_success_beside_any_other_rules() {
        let others: [(Change, Outcome); 3] = [
            (|builder| builder, Outcome::Failure),
            (|builder| builder.count_if(|result| *result == Err(500)), Outcome::Ignored),
            (|builder| builder.ignore_if(Result::is_err), Outcome::Ignored),
        ];
        for (change, other) in others {
            let builder = Classifier::builder().success_if(|result| *result == Err(404));
            let classifier = change(builder).build().unwrap().clone();
            assert_eq!(classifier.judge(&Err(404)), Outcome::Success);
            assert_eq!(classifier.judge(&Err(403)), other);
            assert_eq!(classifier.judge(&Ok(200)), Outcome::Success);
        }
    }
}
