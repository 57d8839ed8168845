//! What the example prints, and how much of it is the breaker's.

use std::process::Command;

const SAID: &str = "\
the dependency works:
  200 7 in stock
  200 7 in stock
it dies:
  500 broken
  500 broken
  500 broken
  500 broken
  500 broken
  503 come back later
  503 come back later
it was called 7 times
it recovers:
  200 7 in stock
  200 7 in stock
the circuit is CLOSED
";

#[test]
fn the_service_rejects_while_its_dependency_is_dead_and_recovers_with_it() {
    let ran = Command::new(env!("CARGO_BIN_EXE_axum_service"))
        .env_remove("POWERTOOLS_CIRCUIT_BREAKER_DISABLED")
        .output()
        .expect("the example starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), SAID);
}

#[test]
fn at_most_25_lines_are_the_breakers() {
    let mut lines = 0;
    let mut is_breakers = false;
    for line in include_str!("../src/main.rs").lines().map(str::trim) {
        match line {
            "// breaker: begin" => is_breakers = true,
            "// breaker: end" => is_breakers = false,
            line if is_breakers && !line.starts_with("//") => lines += 1,
            _ => {}
        }
    }
    assert!((1..=25).contains(&lines), "{lines} lines are the breaker's");
}
