//! One suite of behaviours that every door of annals passes.
