//! The full-text index of annals: derived from the log, filtered by permissions, rebuildable.
