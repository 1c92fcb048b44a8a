//! Behaviours of lists at each of a few writes to several namespaces.
//!
//! The writes, each at the next version, and what they leave:
//!
//! ```text
//!            first  second       third
//! bar        bar
//! bar        bar    bar
//! foo        bar    bar foo
//! barfoo     bar    bar foo      barfoo
//! foo        bar    bar foo      barfoo foo
//! baz        bar    bar baz foo  barfoo foo
//! node=one   BAR    bar baz foo  barfoo foo     the bar of `first` gets a label
//! -baz       BAR    bar foo      barfoo foo
//! ```
//!
//! A fourth namespace stays empty.

use serde_json::json;

use crate::door::{Choice, Cut, Draft, Failure, Labels, Object, Page};
use crate::stage::{Played, Stage};

/// The label that all objects of one play have, so that a list over all namespaces can tell them
/// from those of other behaviours.
const OWN: &str = "levels";

/// The namespaces, and the state after each write, by version.
struct Levels {
    namespaces: [String; 4],
    states: Vec<(u64, Vec<Object>)>,
}

impl Levels {
    /// Makes the namespaces.
    fn new(stage: &Stage<'_>) -> Result<Self, Failure> {
        let [first, second, third, empty] = ["-first", "-second", "-third", "-zero"];
        let namespaces = [
            stage.other(first)?,
            stage.other(second)?,
            stage.other(third)?,
            stage.other(empty)?,
        ];
        let states = vec![(stage.door().version()?, Vec::new())];
        Ok(Levels { namespaces, states })
    }

    /// Writes, and calls `then` after each write.
    fn play(
        &mut self,
        stage: &Stage<'_>,
        mut then: impl FnMut(&Self) -> Result<(), Failure>,
    ) -> Played {
        let own = labels(stage, None);
        let mut live: Vec<Object> = Vec::new();
        let rows = [
            (0, "bar"),
            (1, "bar"),
            (1, "foo"),
            (2, "barfoo"),
            (2, "foo"),
            (1, "baz"),
        ];
        for (namespace, name) in rows {
            let created = stage.door().create(&Draft {
                namespace: self.namespaces[namespace].clone(),
                labels: own.clone(),
                ..stage.draft(name)
            })?;
            let version = created.version;
            live.push(created);
            self.close(version, &live);
            then(self)?;
        }
        let marked = Draft {
            labels: labels(stage, Some(("node", "one"))),
            ..live[0].with(json!({"title": "marked"}))
        };
        live[0] = stage.door().update(&marked, &crate::Expect::nothing())?;
        self.close(live[0].version, &live);
        then(self)?;
        let gone = stage.delete(&live.remove(5))?;
        self.close(gone.object.version, &live);
        then(self)
    }

    fn close(&mut self, version: u64, live: &[Object]) {
        let mut state = live.to_vec();
        state.sort_by(|one, other| {
            (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name))
        });
        self.states.push((version, state));
    }

    /// Each namespace, and all of them.
    fn scopes(&self, stage: &Stage<'_>) -> Vec<Choice> {
        let one = self.namespaces.iter().cloned().map(Some);
        let scope = |namespace| Choice {
            namespace,
            labels: format!("{OWN}={}", stage.namespace()),
            ..Choice::default()
        };
        one.chain([None]).map(scope).collect()
    }
}

/// The labels of an object of this play.
fn labels(stage: &Stage<'_>, more: Option<(&str, &str)>) -> Labels {
    let own = [(OWN, stage.namespace())].into_iter().chain(more);
    own.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What a choice finds in a state, its labels not looked at.
fn found(state: &[Object], choice: &Choice) -> Vec<Object> {
    let is_chosen = |object: &&Object| {
        let Choice {
            namespace,
            name,
            not_name,
            ..
        } = choice;
        namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == object.namespace)
            && name.as_ref().is_none_or(|name| *name == object.name)
            && not_name.as_ref().is_none_or(|name| *name != object.name)
    };
    state.iter().filter(is_chosen).cloned().collect()
}

/// The pages hold these objects, all at this version, and are as many as they must be.
#[track_caller]
fn assert_pages(pages: &[Page], version: u64, expected: &[Object], limit: usize) {
    for page in pages {
        assert_eq!(page.version, version);
        assert!(page.objects.len() <= limit, "limit {limit} at {version}");
    }
    assert_eq!(pages.len(), expected.len().div_ceil(limit).max(1));
    let paged: Vec<Object> = pages.iter().flat_map(|page| page.objects.clone()).collect();
    assert_eq!(paged, expected, "limit {limit} at {version}");
}

pub(super) fn at_every_write(stage: &mut Stage<'_>) -> Played {
    let mut levels = Levels::new(stage)?;
    levels.play(stage, |_| Ok(()))?;
    stage.reopen();
    for (version, state) in &levels.states {
        for scope in levels.scopes(stage) {
            let expected = found(state, &scope);
            let whole = stage.list_at(&scope, *version)?;
            assert_pages(&[whole], *version, &expected, usize::MAX);
            for limit in [1, 2, 4, 8] {
                let pages = stage.pages(&scope, limit, Some(*version))?;
                assert_pages(&pages, *version, &expected, limit);
            }
        }
    }
    Ok(())
}

pub(super) fn selections_at_every_write(stage: &mut Stage<'_>) -> Played {
    let mut levels = Levels::new(stage)?;
    levels.play(stage, |_| Ok(()))?;
    stage.reopen();
    let mut choices = Vec::new();
    for scope in [&levels.scopes(stage)[1], &levels.scopes(stage)[4]] {
        for name in ["bar", "foo", "barfoo", "baz", "never"].map(|name| Some(name.to_owned())) {
            let (named, not_named) = (name.clone(), name);
            choices.push(Choice {
                name: named,
                ..scope.clone()
            });
            choices.push(Choice {
                not_name: not_named,
                ..scope.clone()
            });
        }
    }
    for (version, state) in &levels.states {
        for choice in &choices {
            for limit in [1, 2] {
                let pages = stage.pages(choice, limit, Some(*version))?;
                assert_pages(&pages, *version, &found(state, choice), limit);
            }
        }
    }
    // The label came with the seventh write.
    let everywhere = levels.scopes(stage).remove(4);
    let with = |more: &str| Choice {
        labels: format!("{},{more}", everywhere.labels),
        ..everywhere.clone()
    };
    for (at, (version, state)) in levels.states.iter().enumerate() {
        let mut others = state.clone();
        let marked = if at >= 7 {
            vec![others.remove(0)]
        } else {
            Vec::new()
        };
        for (choice, expected) in [(with("node=one"), marked), (with("node!=one"), others)] {
            let pages = stage.pages(&choice, 1, Some(*version))?;
            assert_pages(&pages, *version, &expected, 1);
        }
    }
    Ok(())
}

pub(super) fn tokens_of_every_write(stage: &mut Stage<'_>) -> Played {
    /// A token, and what it must lead to.
    struct Held {
        scope: Choice,
        token: String,
        version: u64,
        rest: Vec<Object>,
    }
    let mut levels = Levels::new(stage)?;
    let mut held: Vec<Held> = Vec::new();
    levels.play(stage, |levels| {
        let Some((version, state)) = levels.states.last() else {
            return Ok(());
        };
        for scope in levels.scopes(stage) {
            let expected = found(state, &scope);
            for limit in 1..=expected.len().max(1) {
                let cut = Cut {
                    limit: Some(limit),
                    ..Cut::default()
                };
                let page = stage.door().list(&scope, &cut)?;
                let cut_off = expected.len().min(limit);
                assert_eq!(
                    (page.version, &page.objects[..]),
                    (*version, &expected[..cut_off])
                );
                assert_eq!(page.token.is_some(), cut_off < expected.len());
                held.extend(page.token.map(|token| Held {
                    scope: scope.clone(),
                    token,
                    version: *version,
                    rest: expected[cut_off..].to_vec(),
                }));
            }
        }
        Ok(())
    })?;
    stage.reopen();
    assert!(
        held.len() > 20,
        "only {} tokens were handed out",
        held.len()
    );
    for Held {
        scope,
        token,
        version,
        rest,
    } in &held
    {
        for limit in [None, Some(1), Some(2), Some(8)] {
            let mut cut = Cut {
                limit,
                token: Some(token.clone()),
                at: None,
            };
            let mut pages = Vec::new();
            while cut.token.is_some() {
                assert!(pages.len() < 100, "a list of pages without an end");
                let page = stage.door().list(scope, &cut)?;
                cut.token.clone_from(&page.token);
                pages.push(page);
            }
            assert_pages(&pages, *version, rest, limit.unwrap_or(usize::MAX));
        }
    }
    Ok(())
}
