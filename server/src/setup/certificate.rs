//! Reading facts out of a certificate that we wrote earlier.

use std::collections::BTreeSet;
use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What decides whether a certificate is still good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The names it is valid for, as in [`super::names::collect`].
    pub(super) names: BTreeSet<String>,
    /// Its last second, Unix time.
    pub(super) ends: i64,
    /// Which key signed it.
    pub(super) issuer_key: Option<Vec<u8>>,
    /// Which key it holds.
    pub(super) own_key: Option<Vec<u8>>,
}

/// Reads the first certificate of a PEM text.
pub(super) fn read(pem: &str) -> Result<Facts, String> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|e| e.to_string())?;
    let (_, parsed) = X509Certificate::from_der(&block.contents).map_err(|e| e.to_string())?;
    let mut facts = Facts {
        names: BTreeSet::new(),
        ends: parsed.validity().not_after.timestamp(),
        issuer_key: None,
        own_key: None,
    };
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                facts
                    .names
                    .extend(names.general_names.iter().filter_map(name));
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                facts.issuer_key = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::SubjectKeyIdentifier(id) => facts.own_key = Some(id.0.to_vec()),
            _ => {}
        }
    }
    Ok(facts)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}
