//! What the store reads out of an object's JSON: a few fields of `metadata`, and nothing else.
//!
//! The rest of the object is skipped over, which still proves that it is JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Error;

/// The annotation that says which folder an object stands in.
const FOLDER_ANNOTATION: &str = "grafana.app/folder";

/// The fields of `metadata` that the store keeps in the header of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `metadata.name`, when given.
    pub name: Option<String>,
    /// `metadata.namespace`, when given.
    pub namespace: Option<String>,
    /// `metadata.uid`, when given.
    pub uid: Option<String>,
    /// `metadata.labels`, sorted by key.
    pub labels: Vec<(String, String)>,
    /// The annotation `grafana.app/folder`, empty when there is none.
    pub folder: String,
}

#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    metadata: Option<Fields<'a>>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    uid: Option<Cow<'a, str>>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<Cow<'a, str>, Option<Cow<'a, str>>>>,
}

impl Metadata {
    /// Reads the metadata of an object.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the bytes are not one JSON object, or one of the fields read has
    /// the wrong type.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Error::invalid("body", "must be a JSON object".to_owned()));
        }
        // Strings that are skipped over are not looked into: the text is checked as a whole.
        let text = std::str::from_utf8(body)
            .map_err(|cause| Error::invalid("body", format!("is not UTF-8: {cause}")))?;
        let top: Top<'_> = serde_json::from_str(text)
            .map_err(|cause| Error::invalid("body", format!("is not a valid object: {cause}")))?;
        let Some(fields) = top.metadata else {
            return Ok(Metadata::default());
        };
        let folder = fields
            .annotations
            .and_then(|mut all| all.remove(FOLDER_ANNOTATION).flatten())
            .map(Cow::into_owned)
            .unwrap_or_default();
        let owned =
            |text: Option<Cow<'_, str>>| text.filter(|t| !t.is_empty()).map(Cow::into_owned);
        Ok(Metadata {
            name: owned(fields.name),
            namespace: owned(fields.namespace),
            uid: owned(fields.uid),
            labels: fields.labels.unwrap_or_default().into_iter().collect(),
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_header_keeps() {
        let body = br#"{"spec":{"deep":[{"x":[[]]}]},"metadata":{"name":"a","uid":"u",
            "labels":{"b":"2","a":"1"},"annotations":{"grafana.app/folder":"f","x":"y"},"o":[]}}"#;
        let read = Metadata::read(body).unwrap();
        assert_eq!(read.name.as_deref(), Some("a"));
        assert_eq!(read.namespace, None);
        assert_eq!(
            read.labels,
            [("a".into(), "1".into()), ("b".into(), "2".into())]
        );
        assert_eq!(read.folder, "f");
    }

    #[test]
    fn refuses_what_is_not_an_object() {
        let bad: [&[u8]; 7] = [
            b"",
            b"[]",
            b"1",
            b"{\"metadata\":{\"labels\":{\"a\":1}}}",
            b"{} {}",
            b"{\"metadata\":{\"name\":1}}",
            b"{\"a\":\"\xff\"}",
        ];
        for body in bad {
            let shown = String::from_utf8_lossy(body);
            assert!(
                matches!(Metadata::read(body), Err(Error::Invalid { .. })),
                "{shown}"
            );
        }
    }
}
