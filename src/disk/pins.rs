//! The versions that somebody reads at: retention leaves their state whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Version;
use crate::sync::Mutex;

/// How many hold each version.
#[derive(Debug, Default)]
pub(super) struct Pins {
    held: Mutex<BTreeMap<Version, usize>>,
}

/// Holds a version until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    version: Version,
}

impl Pins {
    pub(super) fn hold(self: &Arc<Self>, version: Version) -> Pin {
        *self.held.lock().entry(version).or_default() += 1;
        Pin {
            pins: Arc::clone(self),
            version,
        }
    }

    /// The oldest version that is held.
    pub(super) fn oldest(&self) -> Option<Version> {
        self.held.lock().keys().next().copied()
    }
}

impl Pin {
    pub(crate) fn version(&self) -> Version {
        self.version
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.pins.held.lock();
        if let Some(count) = held.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.version);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_held_until_its_last_holder_lets_go() {
        let pins = Arc::new(Pins::default());
        let hold = |version| pins.hold(Version::new(version));
        let (first, again, later) = (hold(3), hold(3), hold(5));
        assert_eq!(pins.oldest(), Some(Version::new(3)));
        drop(first);
        assert_eq!(pins.oldest(), Some(Version::new(3)));
        drop(again);
        assert_eq!(pins.oldest(), Some(Version::new(5)));
        drop(later);
        assert_eq!(pins.oldest(), None);
    }
}
