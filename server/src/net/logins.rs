//! Whose secrets they are: what the gate asks of whoever keeps users and tokens.

use super::Identity;

/// Keeps secrets and their owners. An error says why nobody can be told at the moment.
pub trait Logins: Send + Sync {
    /// The owner of a bearer token, if that can be told without a wait. `None` is no answer but a
    /// word to ask [`Logins::of_token`]. Must not block.
    fn at_hand(&self, token: &[u8]) -> Option<Identity>;

    /// The owner of a bearer token. Quick, but may read the store.
    ///
    /// # Errors
    /// When the owners cannot be read.
    fn of_token(&self, token: &[u8]) -> Result<Option<Identity>, String>;

    /// The user, if this password was found right before and still is. Quick.
    ///
    /// # Errors
    /// As [`Logins::of_token`].
    fn remembered(&self, user: &str, password: &[u8]) -> Result<Option<Identity>, String>;

    /// The user, if this is the password. Slow on purpose, and blocks.
    ///
    /// # Errors
    /// As [`Logins::of_token`].
    fn of_password(&self, user: &str, password: &[u8]) -> Result<Option<Identity>, String>;
}
