//! The border to tantivy: a panic behind it becomes an error in front of it.
//!
//! Damaged files can make tantivy panic where it should fail. Every road into tantivy runs inside
//! [`guard`]; the locks of this crate do not poison, so nothing stays half held after a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};

/// Runs `work`; a panic in it is returned as [`Error::Damaged`].
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::damaged(format!("panic: {}", said(panic.as_ref())))))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let answer: Result<()> = guard(|| panic!("row {}", 7));
        assert!(answer.unwrap_err().to_string().contains("row 7"));
        assert_eq!(guard(|| Ok(3)).unwrap(), 3);
    }
}
