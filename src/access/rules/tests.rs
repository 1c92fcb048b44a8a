//! Catches a rule that lets in one too many or keeps one out: random rules, folders and objects
//! against a truth table that walks up from the object.

use proptest::prelude::*;

use super::*;
use crate::model::Key;

const NAMESPACES: [&str; 2] = ["a", "b"];
const FOLDERS: [&str; 6] = ["f", "g", "h", "i", "j", ""];
const RESOURCES: [(&str, &str); 3] = [("g", "things"), ("g", "folders"), ("", "namespaces")];

#[derive(Clone, Debug)]
struct World {
    places: Vec<Place>,
    /// Namespace, folder, parent.
    folders: Vec<(usize, usize, Option<usize>)>,
}

fn place() -> impl Strategy<Value = Place> {
    let role = prop_oneof![Just(Role::Viewer), Just(Role::Editor), Just(Role::Admin)];
    let namespace = prop_oneof![4 => (0..2_usize).prop_map(Some), 1 => Just(None)];
    let folders = prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(0..5_usize, 1..3),
    ];
    (role, namespace, folders).prop_map(|(role, namespace, folders)| Place {
        role,
        namespace: namespace.map(|at| NAMESPACES[at].to_owned()),
        folders: folders.iter().map(|at| FOLDERS[*at].to_owned()).collect(),
    })
}

fn world() -> impl Strategy<Value = World> {
    let folder = (
        0..2_usize,
        0..5_usize,
        prop::option::weighted(0.9, 0..6_usize),
    );
    let places = prop::collection::vec(place(), 0..3);
    let folders = prop::collection::vec(folder, 0..14);
    (places, folders).prop_map(|(places, folders)| World { places, folders })
}

impl World {
    fn rules(&self) -> Rules {
        let mut rules = Rules::new("g", "folders");
        rules.set("ann", &self.places);
        for (namespace, name, parent) in &self.folders {
            let parent = parent.map(|parent| FOLDERS[parent]);
            rules.put_folder(NAMESPACES[*namespace], FOLDERS[*name], parent);
        }
        rules
    }

    fn parent(&self, namespace: &str, name: &str) -> Option<&str> {
        let last = self
            .folders
            .iter()
            .rev()
            .find(|(at, folder, _)| NAMESPACES[*at] == namespace && FOLDERS[*folder] == name)?;
        last.2.map(|parent| FOLDERS[parent])
    }

    /// The truth: whether one of the places gives this.
    fn allows(&self, verb: Verb, key: &Key, folder: &str) -> bool {
        self.places.iter().any(|place| {
            if place.role == Role::Viewer && !verb.is_read() {
                return false;
            }
            let Some(namespace) = &place.namespace else {
                return place.folders.is_empty();
            };
            if key.resource() == "namespaces" && key.namespace().is_empty() {
                let is_own = key.namespace().is_empty() && key.name() == namespace;
                let may_change =
                    verb.is_change() && place.role == Role::Admin && place.folders.is_empty();
                return is_own && (verb.is_read() || may_change);
            }
            if key.namespace() != namespace {
                return false;
            }
            if place.folders.is_empty() {
                return true;
            }
            let is_root =
                key.resource() == "folders" && place.folders.iter().any(|root| root == key.name());
            if is_root && (verb.is_read() || verb.is_change()) {
                return true;
            }
            let mut at = folder.to_owned();
            for _ in 0..20 {
                if place.folders.contains(&at) {
                    return true;
                }
                match self.parent(namespace, &at) {
                    Some(parent) => at = parent.to_owned(),
                    None => return false,
                }
            }
            false
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn rules_give_what_the_truth_table_gives(world in world()) {
        let rules = world.rules();
        let ann = Principal::new("ann");
        for (group, resource) in RESOURCES {
            for namespace in ["a", "b", ""] {
                for name in ["f", "g", "x", "a"] {
                    let key = Key::new(group, resource, namespace, name).unwrap();
                    for folder in FOLDERS {
                        for verb in Verb::ALL {
                            let expected = world.allows(verb, &key, folder);
                            let found = rules.check(&ann, verb, &key, folder);
                            prop_assert_eq!(found, expected, "{:?} {} in {:?}", verb, &key, folder);
                            prop_assert!(!rules.check(&Principal::new("eve"), verb, &key, folder));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_administrator_may_everything_and_a_name_is_not_enough() {
    let rules = Rules::new("g", "folders");
    let key = Key::new("g", "things", "a", "x").unwrap();
    for verb in Verb::ALL {
        assert!(rules.check(&Principal::new("root").administrator(), verb, &key, ""));
        assert!(!rules.check(&Principal::new("root"), verb, &key, ""));
    }
}

#[test]
fn a_change_of_one_namespace_leaves_the_subtrees_of_others() {
    let mut rules = Rules::new("g", "folders");
    for namespace in NAMESPACES {
        assert!(rules.put_folder(namespace, "f", Some("")));
        assert!(!rules.put_folder(namespace, "f", Some("")));
    }
    let before = NAMESPACES.map(|namespace| rules.tree(namespace).below(&["f".to_owned()]));
    let mut next = rules.clone();
    assert!(next.put_folder("b", "g", Some("f")));
    let after = NAMESPACES.map(|namespace| next.tree(namespace).below(&["f".to_owned()]));
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert!(after[1].contains("g") && !before[1].contains("g"));
    assert!(!rules.tree("b").below(&["f".to_owned()]).contains("g"));
}
