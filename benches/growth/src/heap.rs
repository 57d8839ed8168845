//! Live allocations of the whole process.

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What is allocated and not freed, in bytes.
pub(crate) fn live() -> usize {
    HEAP.current_usage()
}

/// The most that was live since [`forget_most`].
pub(crate) fn most() -> usize {
    HEAP.peak_usage()
}

/// Begins to look for the most anew.
pub(crate) fn forget_most() {
    HEAP.reset_peak_usage();
}

/// What was added since, for each.
pub(crate) fn each(before: usize, count: usize) -> usize {
    live().saturating_sub(before).checked_div(count).unwrap_or_default()
}
