//! Fuzzes what stands in an item: values of any type in every attribute that
//! the store reads, shown by a read and by the answer to a write.
//!
//! From the root of the crate, with a stable compiler (`-s none`: the crate has
//! no unsafe code for a sanitizer to watch, and sanitizers need a nightly one):
//!
//! ```text
//! cargo +stable fuzz run --fuzz-dir tests/fuzz -s none items -- \
//!     -max_total_time=60 -len_control=0 -max_len=512
//! ```
//!
//! An item needs some hundred bytes of input, which libFuzzer would only try
//! after a long while; hence `-len_control=0`.
#![no_main]

use fuseboard::store::{StoreErrorKind, Written};
use fuseboard_fuzz::{Choice, Item, World, check_applied, check_sent, operations};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Choice, Item)| {
    let (choice, item) = input;
    World::with(|world| {
        // What the SDK cannot read is an error; there is no record to go on with.
        let Ok(read) = world.read(200, &item.body("Item")) else { return };
        let record = read.expect("an answer with an item shows a record");
        let operations = operations(&record, &choice);
        for operation in &operations {
            check_applied(&record, operation);
        }

        let operation = &operations[usize::from(choice.operation) % operations.len()];
        let (written, sent) = match choice.applied {
            true => world.write(operation, 200, &item.body("Attributes")),
            false => world.write(operation, 400, &item.refusal()),
        };
        check_sent(&sent, operation, Some(&item));
        match written {
            Ok(Written::Applied(shown)) => assert_eq!(shown, record),
            Ok(Written::Refused(shown)) => assert_eq!(shown, Some(record)),
            Err(error) => {
                assert!(item.is_empty(), "{error}");
                // The read after a refusal without an item has no answer here.
                if choice.applied {
                    assert_eq!(error.kind(), StoreErrorKind::BadAnswer);
                }
            }
        }
    });
});
