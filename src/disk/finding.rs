//! What is wrong with a store, and what that means for its objects.
//!
//! [`check`](super::check) makes the findings; the server and the command line show them. A finding
//! says where the damage is, in words that name a table and a row, and what it touches: the state
//! of an object as it is now, only its past, or nothing that cannot be made again.
//!
//! Absent on purpose: any bytes of the objects.

use std::fmt;

use crate::model::{Key, Version};

/// How many findings a report keeps; the rest are only counted.
pub(super) const FINDINGS_MAX: usize = 100;

/// How many lost revisions a finding names.
const LOST_SHOWN_MAX: usize = 8;

/// Where damage was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The files as a whole: they do not open.
    Files,
    /// What the table `meta` says of the others.
    Meta,
    /// The table `header`.
    Header,
    /// The table `body`.
    Body,
    /// The table `resource`: the live objects.
    Resource,
    /// The table `trash`: the delete markers.
    Trash,
    /// The tables `label` and `label_past`: which objects have a label, or had it.
    Label,
    /// The commit log, and what is in memory of it.
    Log,
}

impl Place {
    /// The name of the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Place::Files => "files",
            Place::Meta => "meta",
            Place::Header => "header",
            Place::Body => "body",
            Place::Resource => "resource",
            Place::Trash => "trash",
            Place::Label => "label",
            Place::Log => "log",
        }
    }
}

/// What the damage means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touches {
    /// The state of an object as it is now.
    Present,
    /// Older revisions only.
    Past,
    /// Nothing that does not follow from the rest: `annals repair` makes it again.
    Derived,
    /// It cannot be told which objects.
    Unknown,
}

impl Touches {
    /// `present`, `past`, `derived` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Touches::Present => "present",
            Touches::Past => "past",
            Touches::Derived => "derived",
            Touches::Unknown => "unknown",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// Of which object, where that is known.
    pub key: Option<Key>,
    /// The first and the last version of the rows.
    pub versions: Option<(Version, Version)>,
    /// What it means.
    pub touches: Touches,
    /// The revisions that cannot be read for it, beside the rows themselves.
    pub lost: Vec<Version>,
    /// What is wrong.
    pub problem: String,
}

impl Finding {
    pub(crate) fn new(place: Place, problem: impl Into<String>) -> Self {
        Finding {
            place,
            key: None,
            versions: None,
            touches: Touches::Unknown,
            lost: Vec::new(),
            problem: problem.into(),
        }
    }

    pub(super) fn of(self, key: &Key) -> Self {
        Finding {
            key: Some(key.clone()),
            ..self
        }
    }

    pub(super) fn at(self, first: Version, last: Version) -> Self {
        Finding {
            versions: Some((first, last)),
            ..self
        }
    }

    pub(crate) fn touching(self, touches: Touches) -> Self {
        Finding { touches, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place.as_str())?;
        match self.versions {
            Some((first, last)) if first == last => write!(f, " {first}")?,
            Some((first, last)) => write!(f, " {first} to {last}")?,
            None => {}
        }
        if let Some(key) = &self.key {
            write!(f, " of {key}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some((first, rest)) = self.lost.split_first() {
            write!(f, "; also lost with it: {first}")?;
            for version in rest.iter().take(LOST_SHOWN_MAX - 1) {
                write!(f, ", {version}")?;
            }
            if rest.len() >= LOST_SHOWN_MAX {
                write!(f, " and {} more", rest.len() + 1 - LOST_SHOWN_MAX)?;
            }
        }
        f.write_str(match self.touches {
            Touches::Present => " (the object as it is now)",
            Touches::Past => " (its past only)",
            Touches::Derived => " (can be made again)",
            Touches::Unknown => "",
        })
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The newest version.
    pub version: Version,
    /// How many revisions were read.
    pub revisions: u64,
    /// How many live objects were compared.
    pub live: u64,
    /// How many deleted objects were compared.
    pub trash: u64,
    /// What is wrong; empty for a sound store. At most 100 are kept.
    pub findings: Vec<Finding>,
    /// How many things are wrong.
    pub wrong: u64,
}

impl Report {
    /// A report of one finding.
    pub(crate) fn of(finding: Finding) -> Self {
        let mut report = Report::default();
        report.add(finding);
        report
    }

    /// Keeps a finding, or counts it; answers where it is kept.
    pub(crate) fn add(&mut self, finding: Finding) -> Option<usize> {
        self.wrong += 1;
        let place = self.findings.len();
        (place < FINDINGS_MAX).then(|| {
            self.findings.push(finding);
            place
        })
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wrong == 0
    }
}
