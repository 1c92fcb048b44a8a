//! Exporting from a data directory, with all the store knows.

use std::io::Write;
use std::path::Path;

use annals::{Collection, FieldTest, Filter, ObjectField, Revision};

use super::{Args, Done};
use crate::cli::local::{failure, kinds, open_unindexed};
use crate::cli::{Exit, Failure};
use crate::kinds::{Kinds, ServedKind};
use crate::records::{About, Record, Selection, writer};

pub(super) fn export(
    args: &Args,
    directory: &Path,
    out: impl Write + Send,
) -> Result<Done, Failure> {
    let kinds = kinds()?;
    let selection = selection(args, &kinds)?;
    let store = open_unindexed(directory)?;
    let snapshot = store.snapshot().map_err(|why| failure(&why))?;
    let about = About::new(snapshot.version(), store.epoch(), args.history);
    let mut writer = writer(args.format(), out, &about, &kinds)?;
    let mut records = 0;
    selection.each::<Trouble>(&snapshot, args.history, &mut |revision: &Revision| {
        records += 1;
        writer
            .write(&Record::from(revision))
            .map_err(|why| Trouble(why.into()))
    })?;
    writer.finish()?;
    Ok(Done { about, records })
}

/// A failure of the store or of the writer.
struct Trouble(Failure);

impl From<annals::Error> for Trouble {
    fn from(error: annals::Error) -> Self {
        Self(failure(&error))
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        trouble.0
    }
}

fn selection(args: &Args, kinds: &Kinds) -> Result<Selection, Failure> {
    let usage = |why: String| Failure::new(Exit::Usage, why);
    let mut filter = Filter::default();
    if let Some(text) = &args.selector {
        let labels = text.parse();
        filter.labels = labels.map_err(|why| usage(format!("--selector: {why}")))?;
    }
    if let Some(namespace) = &args.namespace {
        filter.fields.push(FieldTest {
            field: ObjectField::Namespace,
            equals: true,
            value: namespace.clone(),
        });
    }
    if args.kinds.is_empty() {
        let collections = vec![Collection::all()];
        return Ok(Selection {
            collections,
            filter,
        });
    }
    let mut found = Vec::new();
    for word in &args.kinds {
        let resource = resource(kinds, word)?;
        if !found.contains(&resource) {
            found.push(resource);
        }
    }
    // The order of keys, as without a choice.
    found.sort();
    let collection = |(group, plural): &(String, String)| match &args.namespace {
        Some(namespace) => Collection::within(group, plural, namespace),
        None => Collection::of(group, plural),
    };
    let collections: Result<_, _> = found.iter().map(collection).collect();
    Ok(Selection {
        collections: collections.map_err(|why| usage(why.to_string()))?,
        filter,
    })
}

/// The group and plural that a word means. A plural with a group need not be served here.
fn resource(kinds: &Kinds, word: &str) -> Result<(String, String), Failure> {
    let lower = word.to_lowercase();
    let (name, group) = match lower.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (&*lower, None),
    };
    let is = |kind: &&ServedKind| {
        let names = &kind.names;
        group.is_none_or(|group| kind.group == group)
            && (names.plural == name
                || names.singular == name
                || names.kind.to_lowercase() == name
                || names.short_names.iter().any(|short| short == name))
    };
    if let Some(kind) = kinds.iter().find(is) {
        return Ok((kind.group.clone(), kind.names.plural.clone()));
    }
    match group {
        Some(group) => Ok((group.to_owned(), name.to_owned())),
        None => {
            let all: Vec<_> = kinds
                .iter()
                .map(|kind| kind.names.plural.as_str())
                .collect();
            let message = format!(
                "there is no kind {word:?}; there are {}, and any other as PLURAL.GROUP",
                all.join(", ")
            );
            Err(Failure::new(Exit::NotFound, message))
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a word that exports another kind.
    use super::*;

    #[test]
    fn words_mean_kinds() {
        let kinds = Kinds::built_in().unwrap();
        for (word, expected) in [
            ("pl", Some(("playlist.grafana.app", "playlists"))),
            ("Playlist", Some(("playlist.grafana.app", "playlists"))),
            ("ns", Some(("", "namespaces"))),
            ("boats.sea.test", Some(("sea.test", "boats"))),
            ("playlists.other.test", Some(("other.test", "playlists"))),
            ("boats", None),
        ] {
            let found = resource(&kinds, word).ok();
            let found = found.as_ref().map(|(group, plural)| (&**group, &**plural));
            assert_eq!(found, expected, "{word}");
        }
    }
}
