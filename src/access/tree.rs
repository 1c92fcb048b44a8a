//! The folders of one namespace: which stands in which.
//!
//! Names come from the objects, so the tree takes what it is told, a parent that is not there and
//! even a circle included: everything here ends, and [`Tree::check`] is what keeps new circles
//! and depths out. A folder whose parent is missing hangs in the air: it belongs to no subtree but
//! its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::Names;
use crate::sync::Mutex;

/// How many folders may stand in each other, the outermost counted.
pub const DEPTH_MAX: usize = 8;

/// How many subtrees are remembered.
const KEPT_MAX: usize = 1_024;

/// Why a folder may not stand where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// It would stand in itself.
    #[error("a folder cannot stand in itself or in a folder below it")]
    Cycle,
    /// It, or one below it, would stand too deep.
    #[error("folders may be nested {DEPTH_MAX} deep at the most")]
    TooDeep,
}

/// The folders of a namespace.
#[derive(Debug, Default)]
pub struct Tree {
    parents: HashMap<String, String>,
    children: HashMap<String, HashSet<String>>,
    /// Subtrees that were asked for, by their sorted roots.
    kept: Mutex<HashMap<Vec<String>, Names>>,
}

impl Clone for Tree {
    /// To be changed: what was remembered of the old one is left behind.
    fn clone(&self) -> Self {
        Tree {
            parents: self.parents.clone(),
            children: self.children.clone(),
            kept: Mutex::default(),
        }
    }
}

impl Tree {
    /// A tree without folders.
    #[must_use]
    pub fn new() -> Self {
        Tree::default()
    }

    /// Where a folder stands: `Some("")` for the root, `None` if there is no such folder.
    #[must_use]
    pub fn parent(&self, name: &str) -> Option<&str> {
        self.parents.get(name).map(String::as_str)
    }

    /// Puts a folder into another one, the empty name being the root, or takes it away.
    pub fn put(&mut self, name: &str, parent: Option<&str>) {
        let before = match parent {
            Some(parent) => self.parents.insert(name.to_owned(), parent.to_owned()),
            None => self.parents.remove(name),
        };
        if let Some(before) = before
            && let Some(siblings) = self.children.get_mut(&before)
        {
            siblings.remove(name);
            if siblings.is_empty() {
                self.children.remove(&before);
            }
        }
        if let Some(parent) = parent {
            let siblings = self.children.entry(parent.to_owned()).or_default();
            siblings.insert(name.to_owned());
        }
        self.kept.lock().clear();
    }

    /// These folders and all below them. A root that is not there is in it all the same: an object
    /// may name a folder that does not exist, and a grant too.
    #[must_use]
    pub fn below(&self, roots: &[String]) -> Names {
        let mut roots = roots.to_vec();
        roots.sort_unstable();
        roots.dedup();
        if let Some(found) = self.kept.lock().get(&roots) {
            return Arc::clone(found);
        }
        let mut found: HashSet<String> = HashSet::new();
        let mut open: Vec<&str> = roots.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            if found.insert(name.to_owned()) {
                open.extend(self.inside(name));
            }
        }
        let found = Arc::new(found);
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(roots, Arc::clone(&found));
        found
    }

    fn inside(&self, name: &str) -> impl Iterator<Item = &str> {
        self.children
            .get(name)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// How deep a folder stands, the outermost being 1; no more than `max` steps are made.
    #[must_use]
    pub fn depth(&self, name: &str, max: usize) -> usize {
        let (mut depth, mut at) = (1, name);
        while depth < max
            && let Some(parent) = self.parent(at).filter(|parent| !parent.is_empty())
        {
            depth += 1;
            at = parent;
        }
        depth
    }

    /// How many levels there are from a folder down, itself counted; no more than `max`.
    fn height(&self, name: &str, max: usize) -> usize {
        let mut level = vec![name];
        let mut height = 0;
        while !level.is_empty() && height < max {
            height += 1;
            level = level.iter().flat_map(|name| self.inside(name)).collect();
        }
        height
    }

    /// Whether a folder may stand in another one, the empty name being the root.
    ///
    /// # Errors
    ///
    /// [`TreeError::Cycle`] when it would stand in itself, [`TreeError::TooDeep`] when it or a
    /// folder below it would stand deeper than [`DEPTH_MAX`].
    pub fn check(&self, name: &str, parent: &str) -> Result<(), TreeError> {
        if parent.is_empty() {
            let fits = self.height(name, DEPTH_MAX + 1) <= DEPTH_MAX;
            return if fits {
                Ok(())
            } else {
                Err(TreeError::TooDeep)
            };
        }
        let mut at = parent;
        for _ in 0..=self.parents.len() {
            if at == name {
                return Err(TreeError::Cycle);
            }
            match self.parent(at).filter(|parent| !parent.is_empty()) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        let most = DEPTH_MAX + 1;
        let deepest = self.depth(parent, most) + self.height(name, most);
        if deepest <= DEPTH_MAX {
            Ok(())
        } else {
            Err(TreeError::TooDeep)
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a folder that is left out of its subtree or counted to a foreign one, a circle that
    //! is let in, and a walk that does not end in one that was let in elsewhere.
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

    /// Whether `name` stands somewhere in `root`, found by walking up.
    fn is_below(tree: &Tree, name: &str, root: &str) -> bool {
        let mut at = name;
        for _ in 0..=NAMES.len() {
            if at == root {
                return true;
            }
            match tree.parent(at) {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        false
    }

    proptest! {
        #[test]
        fn a_subtree_is_what_leads_up_to_its_root(
            puts in prop::collection::vec((0..12_usize, prop::option::of(0..13_usize)), 0..60),
            roots in prop::collection::vec(0..12_usize, 0..4),
        ) {
            let mut tree = Tree::new();
            for (name, parent) in puts {
                let parent = parent.map(|parent| NAMES.get(parent).copied().unwrap_or(""));
                tree.put(NAMES[name], parent);
                let roots: Vec<String> = roots.iter().map(|root| NAMES[*root].to_owned()).collect();
                for _ in 0..2 {
                    let below = tree.below(&roots);
                    for name in NAMES {
                        let expected = roots.iter().any(|root| is_below(&tree, name, root));
                        prop_assert_eq!(below.contains(name), expected, "{} {:?}", name, &roots);
                    }
                }
            }
        }

        #[test]
        fn what_is_checked_has_no_circle_and_is_not_too_deep(
            moves in prop::collection::vec((0..12_usize, 0..13_usize), 0..200),
        ) {
            let mut tree = Tree::new();
            for (name, parent) in moves {
                let parent = NAMES.get(parent).copied().unwrap_or("");
                let checked = tree.check(NAMES[name], parent);
                let mut moved = tree.clone();
                moved.put(NAMES[name], Some(parent));
                let is_circle = !parent.is_empty() && is_below(&tree, parent, NAMES[name]);
                let deepest = NAMES.iter().map(|name| moved.depth(name, 50)).max();
                let expected = if is_circle {
                    Err(TreeError::Cycle)
                } else if deepest > Some(DEPTH_MAX) {
                    Err(TreeError::TooDeep)
                } else {
                    Ok(())
                };
                prop_assert_eq!(checked, expected);
                if checked.is_ok() {
                    tree = moved;
                }
            }
        }
    }
}
