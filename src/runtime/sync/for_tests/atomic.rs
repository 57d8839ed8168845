//! Loom's atomics, with loads that loom explores completely.
//!
//! Of several loads of one atomic, `loom` 0.7.2 remembers the last, and does not try the effect of
//! a store on those before (tokio-rs/loom#166, #392). So each load first exchanges another
//! atomic beside the value: loom remembers all exchanges, in every order. They are relaxed, and
//! synchronise no threads.

use ::loom::sync::atomic::{self, Ordering};

macro_rules! looked_at {
    ($name:ident, $value:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            looks: atomic::AtomicUsize,
            value: atomic::$name,
        }

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self { looks: atomic::AtomicUsize::new(0), value: atomic::$name::new(value) }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.looks.fetch_add(1, Ordering::Relaxed);
                self.value.load(order)
            }

            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.value.fetch_add(value, order)
            }
        }
    };
}

looked_at!(AtomicU64, u64);
looked_at!(AtomicUsize, usize);

impl AtomicU64 {
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.value.store(value, order);
    }

    pub(crate) fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.value.swap(value, order)
    }

    pub(crate) fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        self.value.fetch_and(value, order)
    }

    pub(crate) fn fetch_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        next: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        self.value.fetch_update(set, fetch, next)
    }

    pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        self.value.fetch_max(value, order)
    }

    pub(crate) fn compare_exchange(
        &self,
        from: u64,
        to: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.value.compare_exchange(from, to, success, failure)
    }
}

impl AtomicUsize {
    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        self.value.fetch_sub(value, order)
    }
}
