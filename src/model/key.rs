//! Which object: group, resource, namespace, name.
//!
//! A key is kept as one text, its parts joined by NUL:
//!
//! ```text
//! playlist.grafana.app NUL playlists NUL default NUL morning
//! ```
//!
//! No part may hold NUL, and NUL sorts below every character of every part, so the order of the
//! texts is the order of the tuples, and a collection is the range of texts with one prefix. The
//! same bytes are the key on disk: encoding is the identity, decoding checks every rule again.

use std::fmt;
use std::sync::Arc;

use super::name;
use crate::Error;

const JOINT: char = '\0';

/// The identity of an object: group, resource, namespace and name. Cheap to clone; ordered by
/// its four parts in that order.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    text: Arc<str>,
}

impl Key {
    /// A key of these parts. The core group and the cluster scope are empty. Group and name have at
    /// most [`NAME_BYTES_MAX`](crate::NAME_BYTES_MAX) bytes, resource and namespace
    /// [`NAMESPACE_BYTES_MAX`](crate::NAMESPACE_BYTES_MAX); letters and digits are those of ASCII.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the part that breaks its rule, and the rule.
    pub fn new(group: &str, resource: &str, namespace: &str, name: &str) -> Result<Self, Error> {
        name::check_group(group)?;
        name::check_resource(resource)?;
        name::check_namespace(namespace)?;
        name::check_name(name)?;
        let text = [group, resource, namespace, name].join("\0");
        Ok(Key { text: text.into() })
    }

    /// Reads a key from its encoded text.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there are not exactly four parts, or one breaks its rule.
    pub fn decode(text: &str) -> Result<Self, Error> {
        let mut parts = text.split(JOINT);
        match (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) {
            (Some(group), Some(resource), Some(namespace), Some(name), None) => {
                Key::new(group, resource, namespace, name)
            }
            _ => Err(Error::invalid("key", "must have four parts".to_owned())),
        }
    }

    /// The key of an encoded text that was a key when it was stored: only what keeps the parts
    /// apart is checked again.
    pub(crate) fn stored(text: &str) -> Option<Self> {
        let four = text.bytes().filter(|&byte| byte == 0).count() == 3;
        four.then(|| Key { text: text.into() })
    }

    /// The encoded text.
    #[must_use]
    pub fn encoded(&self) -> &str {
        &self.text
    }

    fn part(&self, index: usize) -> &str {
        self.text.split(JOINT).nth(index).unwrap_or_default()
    }

    /// The API group, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.part(0)
    }

    /// The resource: the plural, lower-case word of the URL.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.part(1)
    }

    /// The namespace, empty for an object of the cluster scope.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.part(2)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.part(3)
    }

    /// The collection this object stands in, within its namespace.
    #[must_use]
    pub fn collection(&self) -> Collection {
        let end = self.text.rfind(JOINT).map_or(0, |at| at + 1);
        Collection {
            prefix: self.text[..end].into(),
        }
    }
}

impl std::borrow::Borrow<str> for Key {
    /// The encoded text, which is ordered, compared and hashed as the key is.
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::Display for Key {
    /// `resource.group/namespace/name`, without the parts that are empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource())?;
        if !self.group().is_empty() {
            write!(f, ".{}", self.group())?;
        }
        if !self.namespace().is_empty() {
            write!(f, "/{}", self.namespace())?;
        }
        write!(f, "/{}", self.name())
    }
}

/// A set of keys: everything, one resource, or one resource in one namespace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Collection {
    prefix: Arc<str>,
}

impl Collection {
    /// Every key of the store.
    #[must_use]
    pub fn all() -> Self {
        Collection { prefix: "".into() }
    }

    /// One resource in all namespaces.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the part that breaks its rule.
    pub fn of(group: &str, resource: &str) -> Result<Self, Error> {
        name::check_group(group)?;
        name::check_resource(resource)?;
        Ok(Collection {
            prefix: format!("{group}\0{resource}\0").into(),
        })
    }

    /// One resource in one namespace; the empty namespace is the cluster scope.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the part that breaks its rule.
    pub fn within(group: &str, resource: &str, namespace: &str) -> Result<Self, Error> {
        name::check_group(group)?;
        name::check_resource(resource)?;
        name::check_namespace(namespace)?;
        Ok(Collection {
            prefix: format!("{group}\0{resource}\0{namespace}\0").into(),
        })
    }

    /// Whether this key is in the collection.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        key.encoded().starts_with(&*self.prefix)
    }

    /// Whether it is one resource in one namespace.
    pub(crate) fn is_within(&self) -> bool {
        self.prefix.matches(JOINT).count() == 3
    }

    /// What the encoded text of every key of the collection begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collection({:?})", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts() -> impl Strategy<Value = (String, String, String, String)> {
        (
            "|[a-z][a-z0-9]{0,6}(\\.[a-z]{1,4})?",
            "[a-z][a-z0-9-]{0,8}",
            "|[a-z0-9]([a-z0-9_.-]{0,6}[a-z0-9])?",
            "[A-Za-z0-9_:-]{1,10}",
        )
    }

    proptest! {
        #[test]
        fn decodes_to_itself((g, r, ns, n) in parts()) {
            let key = Key::new(&g, &r, &ns, &n).unwrap();
            let again = Key::decode(key.encoded()).unwrap();
            prop_assert_eq!(&again, &key);
            prop_assert_eq!((again.group(), again.resource()), (&*g, &*r));
            prop_assert_eq!((again.namespace(), again.name()), (&*ns, &*n));
            prop_assert!(key.collection().contains(&key));
            prop_assert!(Collection::of(&g, &r).unwrap().contains(&key));
            prop_assert!(Collection::all().contains(&key));
        }

        #[test]
        fn text_order_is_tuple_order(a in parts(), b in parts()) {
            let (ka, kb) = (
                Key::new(&a.0, &a.1, &a.2, &a.3).unwrap(),
                Key::new(&b.0, &b.1, &b.2, &b.3).unwrap(),
            );
            prop_assert_eq!(ka.cmp(&kb), a.cmp(&b));
        }

        #[test]
        fn decode_never_panics(text in ".{0,40}") {
            let _ = Key::decode(&text);
        }
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        let long = "a".repeat(254);
        let cases = [
            (Key::new("-x", "r", "", "n"), "group"),
            (Key::new("g", "", "", "n"), "resource"),
            (Key::new("g", "1r", "", "n"), "resource"),
            (Key::new("g", "r", "a/b", "n"), "namespace"),
            (Key::new("g", "r", &long, "n"), "namespace"),
            (Key::new("g", "r", "", ""), "name"),
            (Key::new("g", "r", "", ".."), "name"),
            (Key::new("g", "r", "", "a\0b"), "name"),
            (Key::new("g", "r", "", "a/b"), "name"),
            (Key::new("g", "r", "", "ä"), "name"),
            (Key::new("g", "r", "", &long), "name"),
        ];
        for (result, field) in cases {
            match result {
                Err(Error::Invalid { field: named, .. }) => assert_eq!(named, field),
                other => panic!("expected a broken {field}, got {other:?}"),
            }
        }
    }
}
