//! Which lives of a name a caller sees in a history, read from the newest revision on.
//!
//! A name that is deleted and created again is another object. Who is let into folders alone sees
//! the life that goes on, or went on last, judged by where it stands or stood: what the name was
//! before may have stood in a folder that he never saw, and the folder's name may be his by now.

use annals::{Header, Scope};

/// The walk over a history.
pub(super) struct Lives<'a> {
    scope: &'a Scope,
    /// The uid of the one that is shown.
    shown: Option<String>,
}

impl<'a> Lives<'a> {
    pub(super) fn new(scope: &'a Scope) -> Self {
        Lives { scope, shown: None }
    }

    /// Whether this revision is shown. If it is not, nothing that is older is.
    pub(super) fn show(&mut self, header: &Header) -> bool {
        if self.scope.covers_always(&header.key) {
            return true;
        }
        match &self.shown {
            Some(uid) => *uid == header.uid,
            None => {
                self.shown = self.scope.covers(header).then(|| header.uid.clone());
                self.shown.is_some()
            }
        }
    }
}
