//! Classifiers: judge which results of a call count against the dependency.

mod builder;

use std::{fmt, sync::Arc};

pub use self::builder::ClassifierBuilder;
use crate::outcome::Outcome;

/// Judges the result of a call: does it count against the dependency?
///
/// [`Breaker::classified_by`](crate::Breaker::classified_by) takes one, and so does
/// [`Permit::run_classified`](crate::Permit::run_classified). It judges the whole `Result`: an
/// `Ok` with status 503 may be a failure, and an `Err` that proves the dependency alive, as a
/// 404 or a unique violation, may be a success.
///
/// These are classifiers:
///
/// - a closure or a function `Fn(&Result<T, E>) -> Outcome`, for one type of results; a closure has
///   to name the type of its argument, `|result: &Result<u16, io::Error>|`;
/// - [`ByError`]: a closure that judges the error, for every `T`;
/// - a [`Classifier`], which can be named, cloned, and built of rules;
/// - [`EveryError`], the rule of a breaker without a classifier;
/// - an `Arc` of a classifier, also of a `dyn Classify<T, E>`;
/// - a type of yours. One rule may serve several types of results:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// use fuseboard::{Classify, Outcome};
///
/// trait Status {
///     fn status(&self) -> u16;
/// }
///
/// struct Order(u16);
/// struct Receipt(u16);
/// # impl Status for Order { fn status(&self) -> u16 { self.0 } }
/// # impl Status for Receipt { fn status(&self) -> u16 { self.0 } }
///
/// struct ServerFaults;
///
/// impl<T: Status, E> Classify<T, E> for ServerFaults {
///     fn classify(&self, result: &Result<T, E>) -> Outcome {
///         match result {
///             Ok(answer) if answer.status() < 500 => Outcome::Success,
///             Ok(_) | Err(_) => Outcome::Failure,
///         }
///     }
/// }
///
/// let payments = registry.breaker("payment-backend")?.classified_by(ServerFaults);
/// let order = payments.call(|| async { Ok::<_, std::io::Error>(Order(200)) }).await?;
/// let receipt = payments.call(|| async { Ok::<_, std::io::Error>(Receipt(503)) }).await?;
/// # assert_eq!((order.status(), receipt.status()), (200, 503));
/// # Ok(()) }
/// ```
///
/// A classifier that panics reports nothing: the call is then neither a success nor a failure.
pub trait Classify<T, E> {
    /// Judges one result.
    fn classify(&self, result: &Result<T, E>) -> Outcome;
}

impl<T, E, F> Classify<T, E> for F
where
    F: Fn(&Result<T, E>) -> Outcome,
{
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        self(result)
    }
}

impl<T, E, C> Classify<T, E> for Arc<C>
where
    C: Classify<T, E> + ?Sized,
{
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        (**self).classify(result)
    }
}

/// Judges every `Err` a failure, and every `Ok` a success: the rule of a
/// [`Breaker`](crate::Breaker) without a classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EveryError;

impl<T, E> Classify<T, E> for EveryError {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure,
        }
    }
}

/// Judges errors by a closure, and every `Ok` a success: one rule for all calls with one type of
/// errors, whatever they return.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// use std::io::{Error, ErrorKind};
///
/// use fuseboard::{ByError, Outcome};
///
/// let files = registry.breaker("file-server")?.classified_by(ByError(|error: &Error| {
///     // The server is alive and has answered.
///     if error.kind() == ErrorKind::NotFound { Outcome::Success } else { Outcome::Failure }
/// }));
/// let text = files.call(|| async { Ok::<_, Error>("a text".to_owned()) }).await?;
/// let length = files.call(|| async { Ok::<_, Error>(6) }).await?;
/// assert_eq!(text.len(), length);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct ByError<F>(pub F);

impl<T, E, F> Classify<T, E> for ByError<F>
where
    F: Fn(&E) -> Outcome,
{
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => (self.0)(error),
        }
    }
}

impl<F> fmt::Debug for ByError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByError").finish_non_exhaustive()
    }
}

type Rule<T, E> = Arc<dyn Fn(&Result<T, E>) -> bool + Send + Sync>;
type Closure<T, E> = Arc<dyn Fn(&Result<T, E>) -> Outcome + Send + Sync>;

/// A [`Classify`] with a name and rules, for one type of results. Clones share the rules.
///
/// [`new`](Self::new) makes one of a closure. [`builder`](Self::builder) makes one of rules:
///
/// - an allow-list: only the results that [`count_if`](ClassifierBuilder::count_if) selects
///   are failures, any other `Err` is ignored, any other `Ok` is a success; or
/// - a deny-list: the results that [`ignore_if`](ClassifierBuilder::ignore_if) selects are
///   ignored, any other `Err` is a failure, any other `Ok` is a success; or
/// - neither: every `Err` is a failure and every `Ok` a success.
///
/// Besides, the results that [`success_if`](ClassifierBuilder::success_if) selects are
/// successes. It comes before the other rules.
///
/// Rules are closures; the compiler needs their types, on the classifier as here, or on the
/// argument.
///
/// ```
/// use fuseboard::{Classifier, Classify, Outcome};
///
/// let by_status = Classifier::<u16, std::io::Error>::builder()
///     .count_if(|result| matches!(result, Ok(status) if *status >= 500) || result.is_err())
///     .build()?;
/// assert_eq!(by_status.classify(&Ok(503)), Outcome::Failure);
/// assert_eq!(by_status.classify(&Ok(404)), Outcome::Success);
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
    Closure(Closure<T, E>),
}

impl<T, E> Classifier<T, E> {
    /// Makes a classifier of a closure that judges the whole result.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    ///
    /// use fuseboard::{Classifier, Classify, Outcome};
    ///
    /// let classifier = Classifier::<u16, Error>::new(|result| match result {
    ///     Ok(500..) => Outcome::Failure,
    ///     Ok(_) => Outcome::Success,
    ///     Err(error) if error.kind() == ErrorKind::InvalidInput => Outcome::Ignored,
    ///     Err(_) => Outcome::Failure,
    /// });
    /// assert_eq!(classifier.classify(&Ok(503)), Outcome::Failure);
    /// ```
    pub fn new(classify: impl Fn(&Result<T, E>) -> Outcome + Send + Sync + 'static) -> Self {
        Self { good: Vec::new(), rules: Rules::Closure(Arc::new(classify)) }
    }

    /// Returns a builder without rules.
    pub fn builder() -> ClassifierBuilder<T, E> {
        ClassifierBuilder::new()
    }
}

impl<T, E> Classify<T, E> for Classifier<T, E> {
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        if self.good.iter().any(|rule| rule(result)) {
            return Outcome::Success;
        }
        match &self.rules {
            Rules::EveryError => EveryError.classify(result),
            Rules::Allow(rules) if rules.iter().any(|rule| rule(result)) => Outcome::Failure,
            Rules::Allow(_) => match result {
                Ok(_) => Outcome::Success,
                Err(_) => Outcome::Ignored,
            },
            Rules::Deny(rules) if rules.iter().any(|rule| rule(result)) => Outcome::Ignored,
            Rules::Deny(_) => EveryError.classify(result),
            Rules::Closure(classify) => classify(result),
        }
    }
}

/// A reference to a closure is a closure; this is the same for a classifier.
impl<T, E> Classify<T, E> for &Classifier<T, E> {
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        (**self).classify(result)
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
            Rules::Closure(classify) => Rules::Closure(Arc::clone(classify)),
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
            Rules::Closure(_) => ("closure", 0),
        };
        f.debug_struct("Classifier")
            .field("kind", &kind)
            .field("rules", &rules)
            .field("good", &self.good.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Classifier, ClassifierBuilder, Classify as _, Outcome};

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
            assert_eq!(classifier.classify(&Err(404)), Outcome::Success);
            assert_eq!(classifier.classify(&Err(403)), other);
            assert_eq!(classifier.classify(&Ok(200)), Outcome::Success);
        }
    }
}
