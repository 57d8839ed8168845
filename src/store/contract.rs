//! Checks for implementations of Store.
