//! What the gate asks: whose token, whose password.
//!
//! A password that was right is remembered, by a digest that only this process can make, until the
//! row changes: a client that sends it with each request is checked once. For a user that is not
//! there as much work is done as for one that is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use annals::Error;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::known::{Access, State};
use super::password::Sealed;
use crate::net::{ADMINISTRATORS, How, Identity, Logins};

/// How many passwords are remembered.
const KEPT_MAX: usize = 1_024;

/// Passwords that were right: by user, the digest and the seal it was held against.
#[derive(Default)]
struct Kept {
    by_user: HashMap<String, ([u8; 32], String)>,
}

/// The logins of a store.
pub(crate) struct Desk {
    access: Arc<Access>,
    kept: Mutex<Kept>,
    salt: [u8; 32],
    /// What the password of nobody is held against.
    nobody: OnceLock<Option<Sealed>>,
}

impl Desk {
    pub(crate) fn new(access: Arc<Access>) -> Result<Self, String> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
        Ok(Desk {
            access,
            kept: Mutex::default(),
            salt,
            nobody: OnceLock::new(),
        })
    }

    fn digest(&self, user: &str, password: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update((user.len() as u64).to_be_bytes());
        hash.update(user.as_bytes());
        hash.update(password);
        hash.finalize().into()
    }

    fn state(&self) -> Result<Arc<State>, String> {
        self.access
            .state()
            .map_err(|error: Error| error.to_string())
    }
}

fn identity(state: &State, account: &Account, how: How) -> Identity {
    let user = account.caller();
    let groups = if state.is_administrator(&user) {
        vec![ADMINISTRATORS.to_owned()]
    } else {
        Vec::new()
    };
    Identity::proven(user, groups, how, account.proof())
}

fn owner(state: &State, token: &[u8]) -> Option<Identity> {
    let account = state.token(token);
    account.map(|account| identity(state, account, How::Token))
}

impl Logins for Desk {
    fn at_hand(&self, token: &[u8]) -> Option<Identity> {
        owner(&*self.access.state_at_hand()?, token)
    }

    fn of_token(&self, token: &[u8]) -> Result<Option<Identity>, String> {
        Ok(owner(&*self.state()?, token))
    }

    fn remembered(&self, user: &str, password: &[u8]) -> Result<Option<Identity>, String> {
        let state = self.state()?;
        let digest = self.digest(user, password);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_right = |account: &&Arc<Account>| {
            let known = kept.by_user.get(user);
            known.is_some_and(|(own, seal)| *own == digest && *seal == account.secret)
        };
        let account = state.user(user).filter(is_right);
        Ok(account.map(|account| identity(&state, account, How::Password)))
    }

    fn of_password(&self, user: &str, password: &[u8]) -> Result<Option<Identity>, String> {
        let state = self.state()?;
        let account = state.user(user);
        let sealed = account.and_then(|account| Sealed::parse(&account.secret));
        let (Some(account), Some(sealed)) = (account, sealed) else {
            let nobody = self.nobody.get_or_init(|| Sealed::new(b"nobody").ok());
            let _ = nobody.as_ref().map(|nobody| nobody.is_of(password));
            return Ok(None);
        };
        if !sealed.is_of(password) {
            return Ok(None);
        }
        let digest = self.digest(user, password);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_user.len() >= KEPT_MAX {
            kept.by_user.clear();
        }
        let seal = account.secret.clone();
        kept.by_user.insert(user.to_owned(), (digest, seal));
        Ok(Some(identity(&state, account, How::Password)))
    }
}
