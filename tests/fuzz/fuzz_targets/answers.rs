//! Fuzzes the text of answers: any bytes in place of DynamoDB's JSON, as a
//! success and as an error, to a read and to a write.
//!
//! From the root of the crate, with a stable compiler:
//!
//! ```text
//! cargo +stable fuzz run --fuzz-dir tests/fuzz -s none answers -- \
//!     -max_total_time=60 -len_control=0 -max_len=512 -dict=tests/fuzz/answers.dict
//! ```
#![no_main]

use fuseboard::store::{Hints, Operation, StoreErrorKind};
use fuseboard_fuzz::{Choice, World, check_applied, check_sent, operations};
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 4] = [200, 200, 400, 500];

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, body) = input;
    let status = STATUSES[usize::from(choice) % STATUSES.len()];
    let choice = Choice { operation: choice / 4, ..Choice::default() };
    World::with(|world| {
        let read = world.read(status, body);
        assert!(status == 200 || read.is_err(), "an error is no record");
        let trip = Operation::Trip {
            seen: None,
            failure_count: 5,
            opened_at: 1,
            expires_at: 2,
            hints: Hints::NONE,
        };
        let (_, sent) = world.write(&trip, status, body);
        check_sent(&sent, &trip, None);

        let Ok(Some(record)) = read else { return };
        let operations = operations(&record, &choice);
        for operation in &operations {
            check_applied(&record, operation);
        }
        let operation = &operations[usize::from(choice.operation) % operations.len()];
        let (written, sent) = world.write(operation, status, body);
        // A value of a type that the SDK does not know cannot be named again.
        match written {
            Err(error) if sent.is_empty() => assert_eq!(error.kind(), StoreErrorKind::BadAnswer),
            _ => check_sent(&sent, operation, None),
        }
    });
});
