//! The users, the tokens, and the folders, as they are now: read once, and followed since.
//!
//! A look costs a lock and three questions to the hub whether anything happened; the store is read
//! only for what did. A [`State`] never changes: who holds one judges by it as a whole.
//!
//! ```text
//! users, tokens   a row that appears, changes or goes          -> places of a caller, secrets
//! folders         one that is made, moved or deleted           -> the tree of its namespace
//! ```
//!
//! The state of the store moves a moment before its watchers are told, so whoever has read version
//! V asks for the rules at V, and waits that moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use annals::access::{Authorizer, Role, Rules, Verb};
use annals::search::Scope as SearchScope;
use annals::{Collection, Error, Event, EventKind, Filter, List, Principal, Revision, Scope};
use annals::{Store, Version, Watch};

use super::account::{Account, Row};
use crate::net::{ADMINISTRATORS, How, Identity, Row as Named, TokenHash};

/// The kind that folders are.
pub(crate) const FOLDER_GROUP: &str = "folder.grafana.app";
pub(crate) const FOLDER_RESOURCE: &str = "folders";

/// How long a request waits for rules that have been written.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many search scopes are remembered.
const KEPT_MAX: usize = 256;

/// What is known of callers. Cheap to ask.
pub(crate) struct Access {
    store: Store,
    /// Nothing until it is first asked for.
    live: Mutex<Option<Live>>,
}

struct Live {
    watches: [Watch; 3],
    state: Arc<State>,
}

/// Who may do what, from a version on.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rules: Rules,
    /// When a user or a token changed last, and when a folder was moved last, or later.
    accounts_changed: Version,
    folders_changed: Version,
    users: HashMap<String, Arc<Account>>,
    tokens: HashMap<String, Arc<Account>>,
    /// Tokens by the SHA-256 of their secrets, as text.
    by_hash: HashMap<String, Arc<Account>>,
    /// Scopes of searches, by the scopes they were made of.
    searches: Mutex<Vec<(Scope, Arc<SearchScope>)>>,
}

impl Clone for State {
    fn clone(&self) -> Self {
        State {
            rules: self.rules.clone(),
            accounts_changed: self.accounts_changed,
            folders_changed: self.folders_changed,
            users: self.users.clone(),
            tokens: self.tokens.clone(),
            by_hash: self.by_hash.clone(),
            searches: Mutex::default(),
        }
    }
}

fn folders() -> Result<Collection, Error> {
    Collection::of(FOLDER_GROUP, FOLDER_RESOURCE)
}

fn collections() -> Result<[Collection; 3], Error> {
    Ok([
        Row::User.collection()?,
        Row::Token.collection()?,
        folders()?,
    ])
}

impl Access {
    pub(crate) fn new(store: Store) -> Self {
        let live = Mutex::new(None);
        Access { store, live }
    }

    /// The rules as they are now. May read the store.
    pub(crate) fn state(&self) -> Result<Arc<State>, Error> {
        self.state_at(Version::ZERO)
    }

    /// The rules as they are now, if nothing has happened since they were last asked for and nobody
    /// is asking: for those who must not wait. `None` is no answer but a word to ask
    /// [`Access::state`], where that may take its time.
    pub(crate) fn state_at_hand(&self) -> Option<Arc<State>> {
        let mut live = self.live.try_lock().ok()?;
        let known = live.as_mut()?;
        let is_fresh = known.watches.iter_mut().all(Watch::is_caught_up);
        is_fresh.then(|| Arc::clone(&known.state))
    }

    /// The rules as they are at this version or a later one.
    pub(crate) fn state_at(&self, version: Version) -> Result<Arc<State>, Error> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let known = match live.take() {
                Some(known) => known,
                None => Live::open(&self.store)?,
            };
            // What fails while it is followed is read anew the next time.
            let known = live.insert(known);
            match known.follow() {
                Ok(reached) if reached >= version => return Ok(Arc::clone(&known.state)),
                Ok(reached) if Instant::now() > deadline => {
                    let reason = format!("the rules of version {version} are not here: {reached}");
                    return Err(Error::Unavailable { reason });
                }
                Ok(_) => std::thread::sleep(Duration::from_micros(50)),
                Err(error) => {
                    *live = None;
                    if !matches!(error, Error::Gone { .. }) || Instant::now() > deadline {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Who the caller is by now: `None` if what it has shown no longer stands.
    pub(crate) fn admit(&self, identity: &Identity) -> Result<Option<Principal>, Error> {
        if identity.proof.is_none() && identity.is_in(ADMINISTRATORS) {
            return Ok(Some(Principal::new(&identity.user).administrator()));
        }
        Ok(self.state()?.admit(identity))
    }
}

impl Live {
    fn open(store: &Store) -> Result<Self, Error> {
        let snapshot = store.snapshot()?;
        let [users, tokens, folders] = collections()?;
        let mut state = State::empty();
        for (collection, row) in [
            (&users, Some(Row::User)),
            (&tokens, Some(Row::Token)),
            (&folders, None),
        ] {
            let mut after = None;
            loop {
                let page = snapshot.list(&List::new(collection.clone()).after(after))?;
                for revision in &page.items {
                    state.put(row, revision, true);
                    state.changed(row, revision.version());
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            // What has gone was a change, too; what retention has removed may have been one.
            state.changed(row, store.compacted(collection)?);
            loop {
                let page = snapshot.trash(&List::new(collection.clone()).after(after))?;
                for revision in &page.items {
                    state.changed(row, revision.version());
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let watch = |of| store.watch(of, Filter::default(), snapshot.version());
        Ok(Live {
            watches: [watch(users)?, watch(tokens)?, watch(folders)?],
            state: Arc::new(state),
        })
    }

    /// Takes in what happened; answers how far that is.
    fn follow(&mut self) -> Result<Version, Error> {
        let rows = [Some(Row::User), Some(Row::Token), None];
        let mut reached = Version::new(u64::MAX);
        for (watch, row) in self.watches.iter_mut().zip(rows) {
            while let Some(event) = watch.try_next()? {
                if State::is_news(&self.state, row, &event) {
                    let state = Arc::make_mut(&mut self.state);
                    state.put(row, &event.object, event.kind != EventKind::Deleted);
                    state.changed(row, event.version);
                }
            }
            reached = reached.min(watch.version());
        }
        Ok(reached)
    }
}

impl State {
    fn empty() -> Self {
        State {
            rules: Rules::new(FOLDER_GROUP, FOLDER_RESOURCE),
            accounts_changed: Version::ZERO,
            folders_changed: Version::ZERO,
            users: HashMap::new(),
            tokens: HashMap::new(),
            by_hash: HashMap::new(),
            searches: Mutex::default(),
        }
    }

    /// Whether an event changes anything: the title of a folder does not.
    fn is_news(state: &State, row: Option<Row>, event: &Event) -> bool {
        if row.is_some() {
            return true;
        }
        let (key, is_there) = (event.object.key(), event.kind != EventKind::Deleted);
        let tree = state.rules.tree(key.namespace());
        let parent = is_there.then_some(event.object.header().folder.as_str());
        tree.parent(key.name()) != parent
    }

    fn put(&mut self, row: Option<Row>, revision: &Revision, is_there: bool) {
        let key = revision.key();
        let Some(row) = row else {
            let parent = is_there.then_some(revision.header().folder.as_str());
            self.rules.put_folder(key.namespace(), key.name(), parent);
            return;
        };
        let rows = match row {
            Row::User => &mut self.users,
            Row::Token => &mut self.tokens,
        };
        if let Some(old) = rows.remove(key.name()) {
            self.by_hash.remove(&old.secret);
            if old.user.is_none() {
                self.rules.set(&old.caller(), &[]);
            }
        }
        if !is_there {
            return;
        }
        let Some(account) = Account::read(row, revision) else {
            tracing::error!(key = %key, "an account cannot be read, and nobody comes in by it");
            return;
        };
        let account = Arc::new(account);
        rows.insert(key.name().to_owned(), Arc::clone(&account));
        if account.user.is_none() {
            self.rules.set(&account.caller(), &account.places);
        }
        if row == Row::Token && !account.secret.is_empty() {
            self.by_hash.insert(account.secret.clone(), account);
        }
    }

    pub(crate) fn user(&self, name: &str) -> Option<&Arc<Account>> {
        self.users.get(name)
    }

    /// The tokens that speak for a user.
    pub(crate) fn tokens_of(&self, user: &str) -> Vec<String> {
        let own = |token: &&Arc<Account>| token.user.as_deref() == Some(user);
        let tokens = self.tokens.values().filter(own);
        tokens.map(|token| token.name.clone()).collect()
    }

    /// The account that a bearer token belongs to. It is found by its digest, which nobody can
    /// steer, and then compared as a whole.
    pub(crate) fn token(&self, token: &[u8]) -> Option<&Account> {
        let shown = TokenHash::of(token);
        let account = self.by_hash.get(&shown.to_string())?;
        let hash = TokenHash::parse(&account.secret)?;
        (hash.is(&shown) && self.is_whole(account)).then_some(account)
    }

    /// Whether the user that a token speaks for is there.
    fn is_whole(&self, account: &Account) -> bool {
        let user = account.user.as_ref();
        user.is_none_or(|user| self.users.contains_key(user))
    }

    /// Whether this caller is an administrator of the server by its row.
    pub(crate) fn is_administrator(&self, caller: &str) -> bool {
        let places = self.rules.places(caller).iter();
        places.into_iter().any(|place| {
            place.role == Role::Admin && place.namespace.is_none() && place.folders.is_empty()
        })
    }

    /// Who the caller is: `None` if what it has shown no longer stands.
    pub(crate) fn admit(&self, identity: &Identity) -> Option<Principal> {
        let principal = Principal::new(&identity.user);
        let in_group = identity.is_in(ADMINISTRATORS);
        let is_administrator = match &identity.proof {
            None => in_group || self.is_administrator(&identity.user),
            Some(proof) => {
                let account = match &proof.row {
                    Named::User(name) => self.users.get(name),
                    Named::Token(name) => self.tokens.get(name),
                };
                let account = account.filter(|account| *account.secret == *proof.seal)?;
                if !self.is_whole(account) {
                    return None;
                }
                let sender = self.is_administrator(&account.caller());
                match identity.how {
                    // Only an administrator speaks for others.
                    How::Impersonated { .. } if !sender => return None,
                    How::Impersonated { .. } => in_group || self.is_administrator(&identity.user),
                    How::Certificate | How::Token | How::Password => sender,
                }
            }
        };
        Some(if is_administrator {
            principal.administrator()
        } else {
            principal
        })
    }

    fn changed(&mut self, row: Option<Row>, version: Version) {
        let last = if row.is_some() {
            &mut self.accounts_changed
        } else {
            &mut self.folders_changed
        };
        *last = version.max(*last);
    }

    /// Whether this scope may have been another at this version. It errs on the safe side.
    pub(crate) fn may_differ(&self, scope: &Scope, since: Version) -> bool {
        since < self.accounts_changed || (scope.is_by_folder() && since < self.folders_changed)
    }

    /// What the caller may do this to.
    pub(crate) fn scope(&self, principal: &Principal, verb: Verb) -> Scope {
        self.rules.scope(principal, verb, &Collection::all())
    }

    /// A scope as the index takes it.
    pub(crate) fn search(&self, scope: &Scope) -> Arc<SearchScope> {
        let mut kept = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = kept.iter().find(|(own, _)| own.is_same(scope)) {
            return Arc::clone(found);
        }
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let made = Arc::new(SearchScope::from(scope));
        kept.push((scope.clone(), Arc::clone(&made)));
        made
    }
}

/// What wakes those who hold a scope: something that may change it has happened.
pub(crate) struct Changes {
    watches: [Watch; 3],
}

impl Changes {
    /// What happens from now on.
    pub(crate) fn new(store: &Store) -> Result<Self, Error> {
        let now = store.snapshot()?.version();
        let watch = |of| store.watch(of, Filter::default(), now);
        let [users, tokens, folders] = collections()?;
        Ok(Changes {
            watches: [watch(users)?, watch(tokens)?, watch(folders)?],
        })
    }

    /// Ready when something happened; then new ones must be made.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut happened = false;
        for watch in &mut self.watches {
            happened |= watch.poll_ready(context).is_ready();
        }
        if happened {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests;
