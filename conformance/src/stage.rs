//! The stage a behaviour stands on: an open door, and namespaces that nobody else has.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::door::{
    Choice, Cut, Door, Draft, Event, EventKind, Events, Expect, Failure, FailureKind, Object, Page,
    Start,
};
use crate::{lists, objects, travel, watches};

/// What a behaviour ends with: an error is a door that refused what it should not have.
pub(crate) type Played = Result<(), Failure>;

/// A behaviour: its name, and how it is shown.
pub(crate) type Behaviour = (&'static str, fn(&mut Stage<'_>) -> Played);

/// Runs every behaviour, each with a door of its own.
///
/// # Panics
///
/// When a behaviour fails, after all have been run; the message names those that failed.
pub fn run_all(open: &dyn Fn() -> Box<dyn Door>) {
    let all = [objects::ALL, lists::ALL, travel::ALL, watches::ALL].concat();
    let mut failed = Vec::new();
    for (at, (name, play)) in all.iter().enumerate() {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut stage = Stage::new(open, format!("stage{at:02}"))?;
            play(&mut stage)
        }));
        match played {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failed.push(format!("{name}: {failure}")),
            // What it was has been printed by the panic itself.
            Err(_) => failed.push(format!("{name}: it panicked")),
        }
    }
    let total = all.len();
    assert!(
        failed.is_empty(),
        "{} of {total} behaviours failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    println!("{total} behaviours");
}

/// What a behaviour works with.
pub(crate) struct Stage<'a> {
    open: &'a dyn Fn() -> Box<dyn Door>,
    door: Option<Box<dyn Door>>,
    namespace: String,
}

impl<'a> Stage<'a> {
    fn new(open: &'a dyn Fn() -> Box<dyn Door>, namespace: String) -> Result<Self, Failure> {
        let door = open();
        door.make_namespace(&namespace)?;
        Ok(Stage {
            open,
            door: Some(door),
            namespace,
        })
    }

    /// The door.
    pub(crate) fn door(&self) -> &dyn Door {
        self.door
            .as_deref()
            .expect("it is open, except while it is reopened")
    }

    /// Closes the door and opens it again: what was written must be there all the same.
    pub(crate) fn reopen(&mut self) {
        self.door = None;
        self.door = Some((self.open)());
    }

    /// The namespace of this behaviour.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Makes another namespace, whose name begins with that of [`Stage::namespace`].
    pub(crate) fn other(&self, suffix: &str) -> Result<String, Failure> {
        let name = format!("{}{suffix}", self.namespace);
        self.door().make_namespace(&name)?;
        Ok(name)
    }

    /// A draft of this name.
    pub(crate) fn draft(&self, name: &str) -> Draft {
        Draft {
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            labels: [].into(),
            spec: json!({"title": name}),
        }
    }

    /// Creates an object of this name.
    pub(crate) fn create(&self, name: &str) -> Result<Object, Failure> {
        self.door().create(&self.draft(name))
    }

    /// Creates an object of this name with a label.
    pub(crate) fn create_labelled(
        &self,
        name: &str,
        (key, value): (&str, &str),
    ) -> Result<Object, Failure> {
        let labels = [(key.to_owned(), value.to_owned())].into();
        self.door().create(&Draft {
            labels,
            ..self.draft(name)
        })
    }

    /// Gives an object another spec.
    pub(crate) fn update(&self, object: &Object, spec: Value) -> Result<Object, Failure> {
        self.door()
            .update(&object.with(spec), &Expect::version(object.version))
    }

    /// Gives an object these labels.
    pub(crate) fn relabel(
        &self,
        object: &Object,
        labels: &[(&str, &str)],
    ) -> Result<Object, Failure> {
        let pairs = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let draft = Draft {
            labels: pairs.collect(),
            ..object.with(object.spec.clone())
        };
        self.door().update(&draft, &Expect::version(object.version))
    }

    /// Deletes an object; the answer is the event that its watchers see.
    pub(crate) fn delete(&self, object: &Object) -> Result<Event, Failure> {
        let (namespace, name) = (&object.namespace, &object.name);
        self.door().delete(namespace, name, &Expect::nothing())?;
        let version = self.door().version()?;
        Ok(deleted(object, version))
    }

    /// All objects of the namespace.
    pub(crate) fn here(&self) -> Choice {
        Choice {
            namespace: Some(self.namespace.clone()),
            ..Choice::default()
        }
    }

    /// The objects of the namespace that have these labels.
    pub(crate) fn labelled(&self, selector: &str) -> Choice {
        Choice {
            labels: selector.to_owned(),
            ..self.here()
        }
    }

    /// A whole list.
    pub(crate) fn list(&self, choice: &Choice) -> Result<Page, Failure> {
        self.door().list(choice, &Cut::default())
    }

    /// A whole list at a version.
    pub(crate) fn list_at(&self, choice: &Choice, version: u64) -> Result<Page, Failure> {
        let at = Some(version);
        let cut = Cut {
            at,
            ..Cut::default()
        };
        self.door().list(choice, &cut)
    }

    /// All pages of a list, of at most this many objects.
    pub(crate) fn pages(
        &self,
        choice: &Choice,
        limit: usize,
        at: Option<u64>,
    ) -> Result<Vec<Page>, Failure> {
        let limit = Some(limit);
        let mut pages = vec![self.door().list(
            choice,
            &Cut {
                limit,
                at,
                token: None,
            },
        )?];
        while let Some(token) = pages.last().and_then(|page| page.token.clone()) {
            assert!(pages.len() < 1_000, "a list of pages without an end");
            let (token, at) = (Some(token), None);
            pages.push(self.door().list(choice, &Cut { limit, token, at })?);
        }
        Ok(pages)
    }

    /// Starts a watch.
    pub(crate) fn watch(&self, choice: &Choice, start: Start) -> Result<Seen, Failure> {
        let events = self.door().watch(choice, start)?;
        Ok(Seen { events })
    }
}

/// An open watch that is compared with what it should say.
pub(crate) struct Seen {
    events: Box<dyn Events>,
}

impl Seen {
    /// The next event.
    pub(crate) fn next(&mut self) -> Result<Event, Failure> {
        self.events.next()
    }

    /// The next events are these.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[Event]) -> Played {
        for event in expected {
            assert_eq!(&self.next()?, event);
        }
        Ok(())
    }

    /// Nothing comes before an object that is created now in this draft's place.
    #[track_caller]
    pub(crate) fn expect_nothing_before(&mut self, stage: &Stage<'_>, last: &Draft) -> Played {
        let last = stage.door().create(last)?;
        self.expect(&[added(&last)])
    }
}

/// The event of an object that came.
pub(crate) fn added(object: &Object) -> Event {
    let (kind, object) = (EventKind::Added, object.clone());
    Event { kind, object }
}

/// The event of an object that changed.
pub(crate) fn modified(object: &Object) -> Event {
    let (kind, object) = (EventKind::Modified, object.clone());
    Event { kind, object }
}

/// The event of an object that went: its last state that matched, with the version at which it
/// went.
pub(crate) fn deleted(last: &Object, version: u64) -> Event {
    let object = Object {
        version,
        ..last.clone()
    };
    let kind = EventKind::Deleted;
    Event { kind, object }
}

/// It was refused, and for this reason.
#[track_caller]
pub(crate) fn assert_refused<T>(answer: Result<T, Failure>, kind: FailureKind) {
    match answer {
        Ok(_) => panic!("it was accepted; expected {kind:?}"),
        Err(failure) => assert_eq!(failure.kind, kind, "{failure}"),
    }
}
