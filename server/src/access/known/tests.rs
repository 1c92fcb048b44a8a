//! Catches rules that lag behind the store: a token that opens after it was revoked, a folder that
//! shows what has left it, a proof that outlives its row.

use annals::access::Place;
use annals::{Key, Options, Write};

use super::*;

struct Site {
    _dir: tempfile::TempDir,
    store: Store,
    access: Access,
}

fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().index(false);
    let store = Store::open(dir.path(), options).unwrap();
    let access = Access::new(store.clone());
    Site {
        _dir: dir,
        store,
        access,
    }
}

fn account(row: Row, name: &str, user: Option<&str>, folders: &[&str]) -> Account {
    let place = Place {
        role: Role::Editor,
        namespace: Some("a".to_owned()),
        folders: folders.iter().map(|name| (*name).to_owned()).collect(),
    };
    Account {
        row,
        name: name.to_owned(),
        user: user.map(str::to_owned),
        places: if user.is_none() { vec![place] } else { vec![] },
        secret: TokenHash::of(name.as_bytes()).to_string(),
    }
}

impl Site {
    fn create(&self, account: &Account) -> Revision {
        let write = account.create(&Principal::new("t"), "2030-01-01T00:00:00Z");
        self.store.write(write.unwrap()).unwrap()
    }

    fn delete(&self, row: Row, name: &str) {
        let write = Write::delete(row.key(name).unwrap());
        self.store.write(write).unwrap();
    }

    fn folder(&self, name: &str, parent: &str, is_new: bool) -> Version {
        let key = Key::new(FOLDER_GROUP, FOLDER_RESOURCE, "a", name).unwrap();
        let body =
            format!(r#"{{"metadata":{{"annotations":{{"grafana.app/folder":"{parent}"}}}}}}"#);
        let body = body.into_bytes();
        let write = if is_new {
            Write::create(key, body)
        } else {
            Write::update(key, body)
        };
        self.store.write(write).unwrap().version()
    }

    fn owner(&self, token: &str) -> Option<String> {
        let state = self.access.state().unwrap();
        state.token(token.as_bytes()).map(Account::caller)
    }

    fn sees(&self, caller: &str, folder: &str) -> bool {
        let key = Key::new("g", "things", "a", "x").unwrap();
        let state = self.access.state().unwrap();
        let caller = Principal::new(caller);
        state.scope(&caller, Verb::Get).covers_place(&key, folder)
    }
}

#[test]
fn a_token_opens_while_its_row_and_its_user_are_there() {
    let site = site();
    assert_eq!(site.owner("one"), None);
    site.create(&account(Row::User, "ann", None, &[]));
    site.create(&account(Row::Token, "one", Some("ann"), &[]));
    site.create(&account(Row::Token, "two", None, &["f"]));
    assert_eq!(site.owner("one").as_deref(), Some("ann"));
    assert_eq!(site.owner("two").as_deref(), Some("token:two"));
    assert_eq!(site.owner("three"), None);
    let proof = |row, name: &str| {
        let account = account(row, name, None, &[]);
        Identity::proven("ann".to_owned(), vec![], How::Token, account.proof())
    };
    let (by_token, by_name) = (proof(Row::Token, "one"), proof(Row::User, "ann"));
    let admitted = |identity| site.access.admit(identity).unwrap().is_some();
    assert!(admitted(&by_token) && admitted(&by_name));
    site.delete(Row::User, "ann");
    assert_eq!(site.owner("one"), None);
    assert!(!admitted(&by_token) && !admitted(&by_name));
    // Another user of the same name is another user, but for the proofs of this test.
    let mut other = account(Row::User, "ann", None, &[]);
    other.secret = "other".to_owned();
    site.create(&other);
    assert!(!admitted(&by_name));
    site.delete(Row::Token, "two");
    assert_eq!(site.owner("two"), None);
    assert!(!site.sees("token:two", "f"));
}

#[test]
fn rules_follow_folders_and_start_where_the_store_is() {
    let site = site();
    site.folder("f", "", true);
    site.folder("g", "f", true);
    site.create(&account(Row::User, "ann", None, &["f"]));
    for _ in 0..2 {
        assert!(site.sees("ann", "f") && site.sees("ann", "g") && !site.sees("ann", "h"));
    }
    let before = site.access.state().unwrap();
    let at = site.folder("g", "", false);
    let after = site.access.state_at(at).unwrap();
    assert!(!site.sees("ann", "g") && site.sees("ann", "f"));
    let scope = |state: &State| state.scope(&Principal::new("ann"), Verb::Get);
    assert_ne!(scope(&before), scope(&after));
    // A change that is none keeps what was compiled.
    let at = site.folder("g", "", false);
    assert!(Arc::ptr_eq(&after, &site.access.state_at(at).unwrap()));
    let fresh = Access::new(site.store.clone());
    assert_eq!(scope(&fresh.state().unwrap()), scope(&after));
}

#[test]
fn an_administrator_by_row_is_one_only_as_long_as_the_row_says_so() {
    let site = site();
    let mut root = account(Row::User, "root", None, &[]);
    root.places[0].role = Role::Admin;
    root.places[0].namespace = None;
    let revision = site.create(&root);
    let groups = vec![ADMINISTRATORS.to_owned()];
    let direct = Identity::proven("root".into(), groups.clone(), How::Password, root.proof());
    let how = How::Impersonated { by: "root".into() };
    let spoken = Identity::proven("ann".into(), groups, how, root.proof());
    let admit = |identity| site.access.admit(identity).unwrap();
    assert!(admit(&direct).is_some_and(|who| who.is_administrator()));
    assert!(admit(&spoken).is_some_and(|who| who.is_administrator()));
    root.places[0].role = Role::Viewer;
    let write = root.update(&Principal::new("t"), &revision).unwrap();
    site.store.write(write).unwrap();
    assert!(admit(&direct).is_some_and(|who| !who.is_administrator()));
    assert!(admit(&spoken).is_none());
}

/// What is at hand is asked for without a wait, and so by nobody who would follow the store: it must
/// be gone, not old, once a row has changed.
#[test]
fn what_is_at_hand_is_never_old() {
    let site = site();
    let has_ann = |state: &State| state.user("ann").is_some();
    assert!(site.access.state_at_hand().is_none(), "nobody has read it");
    site.create(&account(Row::User, "ann", None, &[]));
    site.access.state().unwrap();
    for changes in 0..3 {
        let deadline = Instant::now() + PATIENCE;
        match changes {
            0 => site.delete(Row::User, "ann"),
            1 => drop(site.create(&account(Row::Token, "bot", None, &[]))),
            _ => drop(site.folder("f", "", true)),
        }
        while site.access.state_at_hand().is_some() {
            assert!(Instant::now() < deadline, "old rules stay at hand");
        }
        assert!(!has_ann(&site.access.state().unwrap()));
        assert!(!has_ann(&site.access.state_at_hand().unwrap()));
    }
    // What is no rule leaves them there.
    let key = Key::new("g", "things", "a", "x").unwrap();
    let write = Write::create(key, br#"{"metadata":{}}"#.to_vec());
    let version = site.store.write(write).unwrap().version();
    site.access.state_at(version).unwrap();
    assert!(site.access.state_at_hand().is_some());
}
