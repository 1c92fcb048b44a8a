//! Which rule holds for which object: the narrowest collection that has one.

use std::collections::BTreeMap;

use crate::model::{Collection, Keep, Key};

/// The rules of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// By the prefix of a collection.
    by_prefix: BTreeMap<String, Keep>,
}

impl Rules {
    /// Of two rules for the same collection the later one holds.
    pub(super) fn new(rules: &[(Collection, Keep)]) -> Self {
        let by_prefix = rules
            .iter()
            .map(|(collection, keep)| (collection.prefix().to_owned(), *keep))
            .collect();
        Rules { by_prefix }
    }

    /// The rule for an object.
    pub(super) fn of(&self, key: &Key) -> Keep {
        let text = key.encoded();
        let ends = text.match_indices('\0').map(|(at, _)| at + 1);
        // The namespace, the resource, everything: not the group alone.
        let ends: Vec<usize> = ends.skip(1).collect();
        let prefixes = ends.iter().rev().map(|&end| &text[..end]).chain([""]);
        let mut rules = prefixes.filter_map(|prefix| self.by_prefix.get(prefix));
        rules.next().copied().unwrap_or_default()
    }

    /// Each rule that occurs, once.
    pub(super) fn kinds(&self) -> Vec<Keep> {
        let mut kinds: Vec<Keep> = Vec::new();
        for keep in self.by_prefix.values() {
            if !kinds.contains(keep) {
                kinds.push(*keep);
            }
        }
        kinds
    }

    /// A text that is another one for other rules.
    pub(super) fn name(&self) -> String {
        let rule = |(prefix, keep): (&String, &Keep)| format!("{prefix:?} {keep}");
        let rules: Vec<String> = self.by_prefix.iter().map(rule).collect();
        rules.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_rule_holds() {
        let keep = |count| Keep::everything().revisions(count);
        let rules = Rules::new(&[
            (Collection::all(), keep(1)),
            (Collection::of("g", "r").unwrap(), keep(2)),
            (Collection::within("g", "r", "a").unwrap(), keep(3)),
            (Collection::within("g", "s", "").unwrap(), keep(4)),
            (Collection::within("g", "s", "").unwrap(), keep(5)),
        ]);
        for (resource, namespace, count) in [
            ("r", "a", 3),
            ("r", "b", 2),
            ("r", "", 2),
            ("s", "", 5),
            ("s", "a", 1),
            ("t", "a", 1),
        ] {
            let key = Key::new("g", resource, namespace, "n").unwrap();
            assert_eq!(rules.of(&key), keep(count), "{key}");
        }
        assert_eq!(
            Rules::default().of(&Key::new("g", "r", "", "n").unwrap()),
            Keep::everything()
        );
    }
}
