//! Who is asking.

/// A caller: the author of a write, as it is kept in the log, and the one whom rules are about.
///
/// The library does not judge who it is: the doors authenticate callers and hand the name down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Principal {
    name: String,
    is_administrator: bool,
}

impl Principal {
    /// A caller of this name. The name is cut to 253 bytes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let mut name = name.into();
        if name.len() > super::NAME_BYTES_MAX {
            let end = (0..=super::NAME_BYTES_MAX)
                .rev()
                .find(|&at| name.is_char_boundary(at))
                .unwrap_or(0);
            name.truncate(end);
        }
        Principal {
            name,
            is_administrator: false,
        }
    }

    /// The same, to whom no rule applies.
    #[must_use]
    pub fn administrator(mut self) -> Self {
        self.is_administrator = true;
        self
    }

    /// Whether no rule applies to this caller.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.is_administrator
    }

    /// The name, empty for an embedder that does not care.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
