//! Media types: in which form the caller takes the answer, and in which form the body comes.
//!
//! Answers are always JSON; what is negotiated is what the JSON shows. A clause that asks for a
//! form that is not offered is passed over for the next one.

use super::status::Status;

/// What an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The object, or a list of objects.
    Object,
    /// A table for people, in this version of `meta.k8s.io`.
    Table(MetaVersion),
    /// The metadata alone, in this version of `meta.k8s.io`.
    Metadata(MetaVersion),
}

/// A version of the group `meta.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// `v1`
    V1,
    /// `v1beta1`
    V1Beta1,
}

impl MetaVersion {
    /// The `apiVersion` of answers.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// The form of a discovery document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// One level of what is served.
    Plain,
    /// Everything below, at once.
    Aggregated(DiscoveryVersion),
}

/// A version of the group `apidiscovery.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryVersion {
    /// `v2`
    V2,
    /// `v2beta1`, which kubectl before 1.30 asks for alone.
    V2Beta1,
}

impl DiscoveryVersion {
    /// The `apiVersion` of answers.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V2 => "apidiscovery.k8s.io/v2",
            Self::V2Beta1 => "apidiscovery.k8s.io/v2beta1",
        }
    }

    /// The media type of answers. Clients tell the form by it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Self::V2Beta1 => {
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
        }
    }
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// JSON.
    Json,
    /// The protobuf of Kubernetes.
    Protobuf,
}

/// The form of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The best form for an `Accept` header; without one it is the object.
pub fn negotiate(accept: Option<&str>) -> Result<Form, Status> {
    first(accept, |clause| {
        match (clause.parameter("as"), clause.version()) {
            (None, _) => Some(Form::Object),
            (Some("Table"), Some(version)) => Some(Form::Table(version)),
            (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some(version)) => {
                Some(Form::Metadata(version))
            }
            _ => None,
        }
    })
}

/// Whether a document that is plain JSON, such as discovery, is acceptable.
pub fn accepts_json(accept: Option<&str>) -> Result<(), Status> {
    first(accept, |clause| {
        clause.parameter("as").is_none().then_some(())
    })
}

/// The best form of a discovery document for an `Accept` header.
pub fn discovery(accept: Option<&str>) -> Result<Discovery, Status> {
    first(accept, |clause| {
        let named = ["as", "g", "v"].map(|name| clause.parameter(name));
        match named {
            [None, ..] => Some(Discovery::Plain),
            [
                Some("APIGroupDiscoveryList"),
                Some("apidiscovery.k8s.io"),
                Some(version),
            ] => {
                let versions = [DiscoveryVersion::V2, DiscoveryVersion::V2Beta1];
                let mut versions = versions.into_iter();
                let found =
                    versions.find(|known| known.api_version().ends_with(&format!("/{version}")));
                found.map(Discovery::Aggregated)
            }
            _ => None,
        }
    })
}

/// Whether the client takes answers that are compressed with gzip.
pub fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    let codings: Vec<Clause<'_>> = accept_encoding
        .unwrap_or_default()
        .split(',')
        .map(Clause::parse)
        .collect();
    let named = |name: &str| codings.iter().find(|coding| coding.media_type == name);
    named("gzip")
        .or_else(|| named("*"))
        .is_some_and(|coding| coding.weight > 0.0)
}

/// 415 for a body that is compressed: a small body may unfold to more than any limit.
pub fn plain_body(content_encoding: Option<&str>) -> Result<(), Status> {
    let encoding = content_encoding.unwrap_or_default().trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    Err(Status::unsupported_encoding(encoding))
}

/// The form of a body; protobuf only where the kind of the body can be read from it.
pub fn body_type(content_type: Option<&str>, protobuf: bool) -> Result<BodyType, Status> {
    match content_type
        .map(Clause::parse)
        .map(|clause| clause.media_type)
        .as_deref()
    {
        None | Some("" | JSON) => Ok(BodyType::Json),
        Some(PROTOBUF) if protobuf => Ok(BodyType::Protobuf),
        Some(_) if protobuf => Err(Status::unsupported_media_type(&[JSON, PROTOBUF])),
        Some(_) => Err(Status::unsupported_media_type(&[JSON])),
    }
}

/// The form of a patch, which must be named.
pub fn patch_type(content_type: Option<&str>) -> Result<PatchType, Status> {
    match content_type
        .map(Clause::parse)
        .map(|clause| clause.media_type)
        .as_deref()
    {
        Some(JSON_PATCH) => Ok(PatchType::Json),
        Some(MERGE_PATCH) => Ok(PatchType::Merge),
        _ => Err(Status::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH])),
    }
}

fn first<T>(accept: Option<&str>, form: impl Fn(&Clause<'_>) -> Option<T>) -> Result<T, Status> {
    let accept = accept
        .map(str::trim)
        .filter(|accept| !accept.is_empty())
        .unwrap_or("*/*");
    let mut clauses: Vec<Clause<'_>> = accept.split(',').map(Clause::parse).collect();
    // A stable sort: clauses of the same weight stay in the caller's order.
    clauses.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let wanted = |clause: &&Clause<'_>| {
        clause.weight > 0.0 && matches!(clause.media_type.as_str(), JSON | "*/*" | "application/*")
    };
    let mut forms = clauses.iter().filter(wanted).filter_map(form);
    forms.next().ok_or_else(|| Status::not_acceptable(&[JSON]))
}

/// One media type with its parameters.
struct Clause<'a> {
    media_type: String,
    parameters: Vec<(String, &'a str)>,
    weight: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| {
                (
                    name.trim().to_ascii_lowercase(),
                    value.trim().trim_matches('"'),
                )
            })
            .collect();
        let mut clause = Self {
            media_type,
            parameters,
            weight: 1.0,
        };
        let weight = clause
            .parameter("q")
            .and_then(|weight| weight.parse::<f32>().ok());
        clause.weight = weight.filter(|weight| weight.is_finite()).unwrap_or(1.0);
        clause
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    fn version(&self) -> Option<MetaVersion> {
        match (self.parameter("g"), self.parameter("v")) {
            (Some("meta.k8s.io"), Some("v1")) => Some(MetaVersion::V1),
            (Some("meta.k8s.io"), Some("v1beta1")) => Some(MetaVersion::V1Beta1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches an answer in a form the client cannot read, or a body read in the wrong form.

    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: Option<Form>) {
        let found = negotiate(Some(accept));
        assert_eq!(found.as_ref().ok(), expected.as_ref(), "{accept}");
        assert!(found.err().is_none_or(|status| status.code() == 406));
    }

    #[test]
    fn the_first_form_that_can_be_given_is_given() {
        use MetaVersion::{V1, V1Beta1};
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let kubectl =
            format!("{table},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json");
        check(&kubectl, Some(Form::Table(V1)));
        check(
            &kubectl.replace("v=v1;", "v=v2;"),
            Some(Form::Table(V1Beta1)),
        );
        check(
            "application/json;as=Table;v=v2;g=meta.k8s.io,application/json",
            Some(Form::Object),
        );
        check("application/json;as=Table;v=v2;g=meta.k8s.io", None);
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        check(metadata, Some(Form::Metadata(V1)));
        check(
            "application/vnd.kubernetes.protobuf, application/json",
            Some(Form::Object),
        );
        check("application/vnd.kubernetes.protobuf", None);
        check("text/html;q=0.9, */*;q=0.1", Some(Form::Object));
        check(
            &format!("application/json;q=0.2, {table};q=0.8"),
            Some(Form::Table(V1)),
        );
        check("application/json;q=0", None);
        check("", Some(Form::Object));
        assert_eq!(negotiate(None).unwrap(), Form::Object);
    }

    #[test]
    fn discovery_needs_a_plain_clause() {
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert!(accepts_json(Some(&format!("{aggregated},application/json"))).is_ok());
        assert_eq!(accepts_json(Some(aggregated)).unwrap_err().code(), 406);
        assert!(accepts_json(None).is_ok());
    }

    #[test]
    fn discovery_is_given_in_the_version_that_is_asked_for() {
        use DiscoveryVersion::{V2, V2Beta1};
        let (v2, beta) = (V2.media_type(), V2Beta1.media_type());
        let newest = format!("{v2},{beta},application/json");
        let v3 = v2.replace("v=v2;", "v=v3;");
        for (accept, expected) in [
            ("", Discovery::Plain),
            ("application/json, */*", Discovery::Plain),
            (&newest, Discovery::Aggregated(V2)),
            (
                &format!("{beta},application/json"),
                Discovery::Aggregated(V2Beta1),
            ),
            (
                &format!("{v2};profile=nopeer,application/json"),
                Discovery::Aggregated(V2),
            ),
            (&format!("{v3},application/json"), Discovery::Plain),
        ] {
            assert_eq!(discovery(Some(accept)).unwrap(), expected, "{accept}");
        }
        assert_eq!(discovery(Some(&v3)).unwrap_err().code(), 406);
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(discovery(Some(table)).unwrap_err().code(), 406);
    }

    #[test]
    fn encodings_are_read_by_their_weights() {
        for (accepted, takes) in [
            (None, false),
            (Some(""), false),
            (Some("identity, br"), false),
            (Some("gzip;q=0"), false),
            (Some("gzip;q=0, *"), false),
            (Some("*;q=0"), false),
            (Some("gzip"), true),
            (Some("deflate, GZIP;q=0.5, br"), true),
            (Some("*"), true),
        ] {
            assert_eq!(takes_gzip(accepted), takes, "{accepted:?}");
        }
        for plain in [None, Some(""), Some("identity"), Some(" Identity ")] {
            assert!(plain_body(plain).is_ok(), "{plain:?}");
        }
        for coded in ["gzip", "identity, gzip", "br", "x"] {
            let status = plain_body(Some(coded)).unwrap_err();
            assert_eq!(status.code(), 415);
            assert!(status.message.contains(coded), "{status}");
        }
    }

    #[test]
    fn bodies_and_patches_have_known_types() {
        assert_eq!(body_type(None, false).unwrap(), BodyType::Json);
        let with_charset = Some("application/json; charset=utf-8");
        assert_eq!(body_type(with_charset, false).unwrap(), BodyType::Json);
        assert_eq!(body_type(Some(PROTOBUF), true).unwrap(), BodyType::Protobuf);
        let refused = body_type(Some(PROTOBUF), false).unwrap_err();
        assert_eq!(refused.code(), 415);
        assert!(
            refused
                .message
                .ends_with("accepted media types include: application/json")
        );
        assert_eq!(patch_type(Some(JSON_PATCH)).unwrap(), PatchType::Json);
        assert_eq!(patch_type(Some(MERGE_PATCH)).unwrap(), PatchType::Merge);
        for other in [
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
            JSON,
        ] {
            let status = patch_type(Some(other)).unwrap_err();
            assert_eq!(status.code(), 415);
            assert!(
                status.message.ends_with("application/merge-patch+json"),
                "{status}"
            );
        }
    }
}
