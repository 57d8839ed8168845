//! Counts the allocations of a thread.

/// How often this thread allocates while it does that.
pub(crate) fn during(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}
