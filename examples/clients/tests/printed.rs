//! Each example, run as it is: what it prints is what its documentation says.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that meets what it does not expect has failed"
)]

use std::process::Command;

/// What an example prints, without what differs from run to run.
fn printed(program: &str) -> Vec<String> {
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(ToOwned::to_owned).collect()
}

/// Three good probes close a circuit. Every other line is as it is told.
fn probed(said: &str) -> [String; 3] {
    ["HALF_OPEN", "HALF_OPEN", "CLOSED"].map(|state| format!("a probe: {said}; {state}"))
}

#[test]
fn reqwest_reads_the_status_retry_after_and_the_body_to_its_end() {
    let lines = printed(env!("CARGO_BIN_EXE_reqwest"));
    let told = [
        "Well: answered {}; CLOSED",
        "Unknown: failed (Success); CLOSED",
        "BreakingOff: failed (Failure); CLOSED",
        "Hanging: failed (Failure); CLOSED",
        "Failing: failed (Failure); CLOSED",
        "Busy: failed (OpenFor(1s)); OPEN",
        "Busy: circuit \"price-service\" rejected the call; OPEN",
        "6 requests have reached the service",
    ];
    assert_eq!(lines[..told.len()], told);
    assert_eq!(lines[told.len()..], probed("answered {}"));
}

#[test]
fn tonic_reads_the_code_and_when_to_come_back() {
    let lines = printed(env!("CARGO_BIN_EXE_tonic"));
    let told = [
        "Ok: answered; CLOSED",
        "NotFound: failed (Success); CLOSED",
        "Unavailable: failed (Failure); CLOSED",
        "DeadlineExceeded: failed (Failure); CLOSED",
        "Unavailable: failed (Failure); CLOSED",
        "ResourceExhausted: failed (OpenFor(1s)); OPEN",
        "ResourceExhausted: circuit \"health-service\" rejected the call; OPEN",
    ];
    assert_eq!(lines[..told.len()], told);
    assert_eq!(lines[told.len()..], probed("answered"));
}

#[test]
fn the_aws_sdk_is_judged_alike_by_calls_and_by_the_client() {
    let lines = printed(env!("CARGO_BIN_EXE_aws"));
    let told = [
        "Well: answered; CLOSED",
        "Unknown: failed; CLOSED",
        "BreakingOff: failed; CLOSED",
        "Busy: failed; CLOSED",
        "Failing: failed; CLOSED",
        "Failing: failed; CLOSED",
        "Failing: failed; OPEN",
        "Failing: rejected; OPEN",
    ];
    let ways: Vec<_> = lines.split(|line| line.starts_with("by ")).skip(1).collect();
    assert_eq!(ways.len(), 2, "{lines:?}");
    for way in ways {
        assert_eq!(way[..told.len()], told);
        assert_eq!(way[told.len()..], probed("answered"));
    }
}

#[test]
fn sqlx_reads_the_kind_of_the_error_and_the_class_of_its_sqlstate() {
    let lines = printed(env!("CARGO_BIN_EXE_sqlx"));
    if let Some(why) = lines.first().and_then(|line| line.strip_prefix("skipped: ")) {
        eprintln!("skipped: {why}");
        return;
    }
    let told = [
        "9 unique violations are answers; CLOSED",
        "well: 1 order; CLOSED",
        "stopped: failed (Failure); CLOSED",
        "stopped: failed (Failure); CLOSED",
        "stopped: failed (Failure); CLOSED",
        "stopped: failed (Failure); CLOSED",
        "stopped: failed (Failure); OPEN",
        "stopped: circuit \"orders-database\" rejected the call; OPEN",
    ];
    assert_eq!(lines[..told.len()], told);
    assert_eq!(lines[told.len()..], probed("1 order"));
}
