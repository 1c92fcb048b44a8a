//! How much of the past of an object is kept.

use std::fmt;
use std::time::Duration;

/// What retention keeps of the history of each object of a collection. The default keeps all.
///
/// With [`revisions`](Keep::revisions) `n` and [`age`](Keep::age) `a`, a revision stays if it was
/// among the newest `n` of its object at some time within the last `a`. Of the two, `n` alone means
/// now, and `a` alone means the newest one. The newest revision of a live object always stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Keep {
    pub(crate) revisions: Option<u64>,
    pub(crate) age: Option<Duration>,
    pub(crate) trash: Option<Duration>,
}

impl Keep {
    /// Every revision, for ever.
    pub fn everything() -> Self {
        Keep::default()
    }

    /// The newest revisions of an object, so many; at least one. A delete marker counts.
    pub fn revisions(mut self, count: u64) -> Self {
        self.revisions = Some(count.max(1));
        self
    }

    /// Not only what is so now, but what was so at some time within this span before now.
    pub fn age(mut self, span: Duration) -> Self {
        self.age = Some(span);
        self
    }

    /// Deleted objects, for this long after their deletion; then the object goes with its whole
    /// history. Without this rule deleted objects stay, each with what the other rules keep.
    pub fn trash(mut self, span: Duration) -> Self {
        self.trash = Some(span);
        self
    }

    /// Whether revisions of live objects may go.
    pub(crate) fn limits_revisions(&self) -> bool {
        self.revisions.is_some() || self.age.is_some()
    }
}

impl fmt::Display for Keep {
    /// `revisions=20 age=3600s trash=86400s`; what is not limited is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |span: Duration| format!("{}s", span.as_secs_f64());
        let parts = [
            self.revisions.map(|count| format!("revisions={count}")),
            self.age.map(|span| format!("age={}", seconds(span))),
            self.trash.map(|span| format!("trash={}", seconds(span))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&if parts.is_empty() {
            "everything".to_owned()
        } else {
            parts.join(" ")
        })
    }
}
