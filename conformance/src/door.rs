//! The door: what a behaviour can ask of a store, in plain values.
//!
//! Runners implement [`Door`] and [`Events`]; behaviours call them. The values are what all doors
//! have in common, so that an object that went through one can be compared with `==`. What only
//! some doors do is a [`Promise`].

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// What a caller wants stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// What it says; any JSON object.
    pub spec: Value,
}

/// An object, as a door shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The version of this state; in an event, the version of the event.
    pub version: u64,
    /// The identity of this life of the name.
    pub uid: String,
    /// Its labels.
    pub labels: Labels,
    /// What it says.
    pub spec: Value,
}

impl Object {
    /// The draft of the next state: this one with another spec.
    #[must_use]
    pub fn with(&self, spec: Value) -> Draft {
        Draft {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            labels: self.labels.clone(),
            spec,
        }
    }
}

/// What must hold for a write to happen.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The object is at this version.
    pub version: Option<u64>,
    /// The object has this uid.
    pub uid: Option<String>,
}

impl Expect {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Expect::default()
    }

    /// The object is at this version.
    #[must_use]
    pub fn version(version: u64) -> Self {
        Expect {
            version: Some(version),
            uid: None,
        }
    }

    /// The object has this uid.
    #[must_use]
    pub fn uid(uid: &str) -> Self {
        Expect {
            version: None,
            uid: Some(uid.to_owned()),
        }
    }
}

/// Which objects are meant.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Those of one namespace, or of all.
    pub namespace: Option<String>,
    /// Those that this label selector chooses, in the notation of Kubernetes; may be empty.
    pub labels: String,
    /// The one of this name.
    pub name: Option<String>,
    /// All but the one of this name.
    pub not_name: Option<String>,
}

/// Which part of a list, and at which version.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// At most this many objects.
    pub limit: Option<usize>,
    /// The token of the page before.
    pub token: Option<String>,
    /// The state of this version, or of now.
    pub at: Option<u64>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The version at which it is true.
    pub version: u64,
    /// The objects.
    pub objects: Vec<Object>,
    /// How to ask for the next part; `None` on the last.
    pub token: Option<String>,
}

/// From where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what there is now, each object as added, and then what changes.
    Now,
    /// With what changes after this version.
    After(u64),
}

/// How an object changed, as its watcher sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It matches and did not before.
    Added,
    /// It matches as before.
    Modified,
    /// It matched and does no longer.
    Deleted,
}

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// How the object changed.
    pub kind: EventKind,
    /// The object, with the version of the event.
    pub object: Object,
}

/// What a door answers when it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub kind: FailureKind,
    /// In words.
    pub message: String,
    /// The token with which a list can go on whose version is no longer kept, where the door gives
    /// one.
    pub token: Option<String>,
}

/// Why a door refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no such object.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// A precondition does not hold.
    Conflict,
    /// The request is wrong.
    Invalid,
    /// The version is no longer kept.
    Gone,
    /// The version is not there yet.
    Future,
    /// The door has no such operation: a behaviour that needs it is skipped.
    Unsupported,
    /// None of these: a behaviour never expects it.
    Other,
}

impl Failure {
    /// A failure with its words.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            message: message.into(),
            token: None,
        }
    }

    /// With a token with which the list can go on.
    #[must_use]
    pub fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

/// What only some doors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// An update that changes nothing writes nothing.
    QuietUpdate,
    /// A token is refused by every list but its own, and where its version is no longer kept the
    /// refusal brings another one.
    BoundToken,
    /// An object created without a name, from a base, gets one.
    GeneratedName,
}

/// A way in to a store.
pub trait Door {
    /// Whether the door makes this promise.
    fn promises(&self, promise: Promise) -> bool;

    /// Makes a namespace, where there is such a thing.
    fn make_namespace(&self, name: &str) -> Result<(), Failure>;

    /// Creates an object.
    fn create(&self, draft: &Draft) -> Result<Object, Failure>;

    /// Creates an object whose name begins with that of the draft. Only with
    /// [`Promise::GeneratedName`].
    fn create_named_by_door(&self, draft: &Draft) -> Result<Object, Failure>;

    /// An object, now or at a version.
    fn get(&self, namespace: &str, name: &str, at: Option<u64>) -> Result<Object, Failure>;

    /// Replaces labels and spec of an object.
    fn update(&self, draft: &Draft, expect: &Expect) -> Result<Object, Failure>;

    /// Deletes an object.
    fn delete(&self, namespace: &str, name: &str, expect: &Expect) -> Result<(), Failure>;

    /// A list, or a page of it.
    fn list(&self, choice: &Choice, cut: &Cut) -> Result<Page, Failure>;

    /// Watches.
    fn watch(&self, choice: &Choice, start: Start) -> Result<Box<dyn Events>, Failure>;

    /// The version of the store.
    fn version(&self) -> Result<u64, Failure>;

    /// Forgets what only the states before this version need, everywhere. The state at the version itself
    /// stays, and so do all later ones; one that is forgotten already changes nothing. A door
    /// without compaction leaves this method as it is.
    fn compact(&self, version: u64) -> Result<(), Failure> {
        let words = format!("this door does not compact to {version}");
        Err(Failure::new(FailureKind::Unsupported, words))
    }
}

/// An open watch. Dropped, it ends.
pub trait Events {
    /// Waits for the next event. An error when none comes for a long time: a behaviour asks only
    /// for what must come.
    fn next(&mut self) -> Result<Event, Failure>;
}
