//! What the rule of the example makes of each SQLSTATE: by a table, and of a real PostgreSQL.
#![expect(clippy::print_stderr, reason = "says why it is skipped")]

use std::{borrow::Cow, error::Error as StdError, fmt};

use sqlx::{
    AssertSqlSafe, Connection as _, Error, PgConnection,
    error::{DatabaseError, ErrorKind},
};

use super::*;

/// An answer of a database that has this code.
#[derive(Debug)]
struct Answer(&'static str);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Answer {}

impl DatabaseError for Answer {
    fn message(&self) -> &str {
        self.0
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
}

#[test]
fn a_sqlstate_is_judged_by_its_class() {
    let failures = [
        "08000", // connection exception
        "08006", // connection failure
        "53100", // disk full
        "53200", // out of memory
        "53300", // too many connections
        "57014", // a statement_timeout
        "57P01", // the server is shut down
        "57P02", // another process has crashed
        "57P03", // it starts, and takes no connections yet
        "58000", // system error
        "58030", // input or output failed
        "XX000", // internal error
        "XX001", // corrupted data
    ];
    let answers = [
        "02000", // no data
        "0A000", // not supported
        "22012", // division by zero
        "23505", // unique violation
        "25006", // read only: the standby of a failover answers so
        "25P03", // a transaction that was left idle
        "28P01", // wrong password
        "3D000", // no such database
        "40001", // the transaction has to be repeated
        "40P01", // a deadlock: this one gave way
        "42601", // syntax error
        "42P01", // no such table
        "54001", // the statement is too complex
        "55P03", // a lock_timeout
        "P0001", // raised by the program's own function
    ];
    let judged = |code| database_faults(&Error::Database(Box::new(Answer(code))));
    for code in failures {
        assert_eq!(judged(code), Outcome::Failure, "{code}");
    }
    for code in answers {
        assert_eq!(judged(code), Outcome::Success, "{code}");
    }
}

/// The database has answered with this code, and so it is judged.
fn judge(error: &Error, code: &str, outcome: Outcome) {
    let answered = error.as_database_error().and_then(|answer| answer.code());
    assert_eq!(answered.as_deref(), Some(code), "{error:?}");
    assert_eq!(database_faults(error), outcome, "{error:?}");
}

async fn run(connection: &mut PgConnection, statements: impl Into<String>) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(statements.into())).execute(connection).await.map(|_| ())
}

/// Runs statements that fail.
async fn fails(connection: &mut PgConnection, statements: &str) -> Error {
    run(connection, statements).await.unwrap_err()
}

#[tokio::test]
async fn a_real_postgresql_answers_with_these_codes() {
    let database = match Database::start_new() {
        Ok(database) => database,
        Err(NoDatabase(why)) => return eprintln!("skipped: {why}"),
    };
    let mut one = PgConnection::connect(&database.url()).await.unwrap();
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    run(&mut one, "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (7)")
        .await
        .unwrap();

    // Of statements.
    for (statement, code) in [
        ("INSERT INTO orders VALUES (7)", "23505"),
        ("SELEC 1", "42601"),
        ("SELECT * FROM invoices", "42P01"),
        ("SELECT 1 / 0", "22012"),
    ] {
        judge(&fails(&mut one, statement).await, code, Outcome::Success);
    }

    // Of limits: the one for a statement is a timeout like any other.
    let slow = fails(&mut one, "SET statement_timeout = 50; SELECT pg_sleep(60)").await;
    judge(&slow, "57014", Outcome::Failure);
    run(&mut other, "BEGIN; LOCK TABLE orders").await.unwrap();
    let locked = "SET statement_timeout = 0; SET lock_timeout = 50; SELECT * FROM orders";
    judge(&fails(&mut one, locked).await, "55P03", Outcome::Success);

    // Of the server: it has no connection to give, and then it ends one.
    run(&mut one, "CREATE ROLE narrow LOGIN CONNECTION LIMIT 1").await.unwrap();
    let narrow = database.url().replace("postgres@", "narrow@");
    let mut first = PgConnection::connect(&narrow).await.unwrap();
    let second = PgConnection::connect(&narrow).await.unwrap_err();
    judge(&second, "53300", Outcome::Failure);
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(300));
    // A pool tries again until its limit, and has no code to tell.
    let waited = pool.connect(&narrow).await.unwrap_err();
    assert!(matches!(waited, Error::PoolTimedOut), "{waited:?}");
    assert_eq!(database_faults(&waited), Outcome::Failure);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'narrow'";
    run(&mut other, end).await.unwrap();
    judge(&fails(&mut first, "SELECT 1").await, "57P01", Outcome::Failure);
}
