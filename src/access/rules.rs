//! The built-in rules: who is what where, and the folders of each namespace.
//!
//! Rules are a value: the server makes the next ones when a user, a token or a folder changes, and
//! keeps them until then. Scopes are compiled when first asked for and kept with the rules; the
//! subtrees in them are kept with the trees, so that a change of one namespace costs the others
//! nothing.
//!
//! A grant for folders holds for what stands in them and in all below. The folder itself stands
//! elsewhere: it is shown and may be changed where it stands, but who wants to move or delete it
//! needs a grant for where it stands.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Authorizer, Role, Tree, Verb};
use crate::model::{Collection, Grant, Principal, Reach, Scope};
use crate::sync::Mutex;

/// What somebody is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What.
    pub role: Role,
    /// In which namespace; `None` for all, and for what has no namespace.
    pub namespace: Option<String>,
    /// In these folders and all below them; in the whole namespace if there are none.
    pub folders: Vec<String>,
}

/// A group and a resource.
type Kind = (String, String);

/// How many scopes are remembered.
const KEPT_MAX: usize = 4_096;

/// Who may do what.
#[derive(Debug)]
pub struct Rules {
    folder: Kind,
    places: HashMap<String, Arc<[Place]>>,
    trees: HashMap<String, Arc<Tree>>,
    kept: Mutex<HashMap<(String, Verb), Scope>>,
}

impl Clone for Rules {
    /// To be changed: the scopes are compiled anew.
    fn clone(&self) -> Self {
        Rules {
            folder: self.folder.clone(),
            places: self.places.clone(),
            trees: self.trees.clone(),
            kept: Mutex::default(),
        }
    }
}

impl Rules {
    /// Rules that let nobody do anything. Folders are objects of this group and resource.
    #[must_use]
    pub fn new(group: &str, resource: &str) -> Self {
        Rules {
            folder: (group.to_owned(), resource.to_owned()),
            places: HashMap::new(),
            trees: HashMap::new(),
            kept: Mutex::default(),
        }
    }

    /// What a caller is from now on; nothing, for one without places.
    pub fn set(&mut self, name: &str, places: &[Place]) {
        self.kept.lock().clear();
        if places.is_empty() {
            self.places.remove(name);
        } else {
            self.places.insert(name.to_owned(), places.into());
        }
    }

    /// What a caller is.
    #[must_use]
    pub fn places(&self, name: &str) -> &[Place] {
        self.places.get(name).map_or(&[], |places| places)
    }

    /// Puts a folder into another one, the empty name being the root, or takes it away. `false` if
    /// that changes nothing.
    pub fn put_folder(&mut self, namespace: &str, name: &str, parent: Option<&str>) -> bool {
        let tree = self.trees.get(namespace);
        if tree.and_then(|tree| tree.parent(name)) == parent {
            return false;
        }
        self.kept.lock().clear();
        let tree = self.trees.entry(namespace.to_owned()).or_default();
        Arc::make_mut(tree).put(name, parent);
        true
    }

    /// The folders of a namespace.
    #[must_use]
    pub fn tree(&self, namespace: &str) -> Arc<Tree> {
        self.trees.get(namespace).cloned().unwrap_or_default()
    }

    fn compile(&self, name: &str, verb: Verb) -> Scope {
        let mut grants = Vec::new();
        let places = self.places(name).iter();
        for place in places.filter(|place| place.role.allows(verb)) {
            self.add(place, verb, &mut grants);
        }
        Scope::Only(grants.into())
    }

    fn add(&self, place: &Place, verb: Verb, grants: &mut Vec<Grant>) {
        let is_whole = place.folders.is_empty();
        let Some(namespace) = &place.namespace else {
            // A folder belongs to one namespace.
            if is_whole {
                grants.push(Grant {
                    kind: None,
                    namespace: None,
                    reach: Reach::All,
                });
            }
            return;
        };
        // The namespace itself, which is an object without a namespace.
        if verb.is_read() || (verb.is_change() && is_whole && place.role == Role::Admin) {
            grants.push(Grant {
                kind: Some((String::new(), "namespaces".to_owned())),
                namespace: Some(String::new()),
                reach: Reach::Names(Arc::new(HashSet::from([namespace.clone()]))),
            });
        }
        let here = |kind, reach| Grant {
            kind,
            namespace: Some(namespace.clone()),
            reach,
        };
        if is_whole {
            grants.push(here(None, Reach::All));
            return;
        }
        let below = self.tree(namespace).below(&place.folders);
        grants.push(here(None, Reach::Folders(below)));
        if verb.is_read() || verb.is_change() {
            let roots = place.folders.iter().cloned().collect();
            let roots = Reach::Names(Arc::new(roots));
            grants.push(here(Some(self.folder.clone()), roots));
        }
    }
}

impl Authorizer for Rules {
    /// The scope is right for every resource.
    fn scope(&self, principal: &Principal, verb: Verb, _: &Collection) -> Scope {
        if principal.is_administrator() {
            return Scope::All;
        }
        let key = (principal.name().to_owned(), verb);
        if let Some(found) = self.kept.lock().get(&key) {
            return found.clone();
        }
        let scope = self.compile(principal.name(), verb);
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, scope.clone());
        scope
    }
}

#[cfg(test)]
mod tests;
