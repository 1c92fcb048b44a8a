//! The certificate authority of one data directory, and what it issues.
//!
//! It signs two kinds of certificate: the one the listener shows, and the one the administrator
//! shows. Whoever holds `tls/ca.key` can become anybody, so it never leaves the directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::certificate::{self, Facts};
use super::{Error, file};

const AUTHORITY_DAYS: i64 = 3650;
/// The longest life that every operating system accepts for a server certificate.
const LEAF_DAYS: i64 = 825;
/// A start with less than this left issues anew, so that a server restarted once a year never
/// shows an expired certificate.
const RENEW_DAYS: i64 = 365;
const DAY_SECONDS: i64 = 86_400;

const CURE: &str = "Restore the file, or delete the folder tls and the file admin.kubeconfig of \
                    the data directory to start over with a new authority";

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Who a certificate is for.
pub(super) enum Holder<'a> {
    /// The listener, under these names.
    Server(&'a BTreeSet<String>),
    /// A user with the groups it belongs to.
    User { name: &'a str, group: &'a str },
}

/// The authority, ready to sign.
pub(super) struct Authority {
    pub(super) certificate: String,
    issuer: Issuer<'static, KeyPair>,
    facts: Facts,
    now: Timestamp,
}

impl Authority {
    /// Reads the authority under `tls`, or makes it.
    pub(super) fn open(tls: &Path, now: Timestamp) -> Result<Self, Error> {
        let (crt, key) = (tls.join("ca.crt"), tls.join("ca.key"));
        match (file::read(&crt)?, file::read(&key)?) {
            (Some(certificate), Some(key_text)) => {
                let pair = Pair {
                    certificate,
                    key: key_text,
                };
                Self::load(&crt, &key, pair, now)
            }
            // The key is written first: a key alone is a first start that did not end.
            (None, _) => {
                let pair = make(now)?;
                file::write(&key, pair.key.as_bytes())?;
                file::write(&crt, pair.certificate.as_bytes())?;
                Self::load(&crt, &key, pair, now)
            }
            (Some(_), None) => Err(damaged(&key, "the file is missing")),
        }
    }

    fn load(crt: &Path, key: &Path, pair: Pair, now: Timestamp) -> Result<Self, Error> {
        let facts = certificate::read(&pair.certificate).map_err(|why| damaged(crt, &why))?;
        if facts.ends <= now.as_second() {
            return Err(damaged(crt, "the certificate authority has expired"));
        }
        let signer = KeyPair::from_pem(&pair.key)
            .map_err(|why| damaged(key, &format!("not a private key ({why})")))?;
        let params = authority_params();
        if facts.own_key.as_deref() != Some(&*params.key_identifier(&signer)) {
            return Err(damaged(key, "the key does not belong to ca.crt"));
        }
        let issuer = Issuer::new(params, signer);
        Ok(Self {
            certificate: pair.certificate,
            issuer,
            facts,
            now,
        })
    }

    /// Whether `pem` was issued by us, has time left, and carries exactly `names`.
    pub(super) fn vouches_for(&self, pem: &str, names: &BTreeSet<String>) -> bool {
        let least = self.now.as_second() + RENEW_DAYS * DAY_SECONDS;
        certificate::read(pem).is_ok_and(|leaf| {
            leaf.names == *names
                && leaf.issuer_key.is_some()
                && leaf.issuer_key == self.facts.own_key
                // A leaf that ends with its authority cannot be made to last longer.
                && (leaf.ends > least || leaf.ends >= self.facts.ends)
        })
    }

    /// Issues a certificate with a new key.
    pub(super) fn issue(&self, holder: &Holder<'_>) -> Result<Pair, Error> {
        let (names, purpose) = match holder {
            Holder::Server(names) => (
                names.iter().cloned().collect::<Vec<_>>(),
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
            Holder::User { .. } => (Vec::new(), ExtendedKeyUsagePurpose::ClientAuth),
        };
        let mut params =
            CertificateParams::new(names).map_err(Error::tls("issue a certificate"))?;
        params.distinguished_name = DistinguishedName::new();
        match holder {
            Holder::Server(_) => params.distinguished_name.push(DnType::CommonName, "annals"),
            Holder::User { name, group } => {
                params.distinguished_name.push(DnType::CommonName, *name);
                params
                    .distinguished_name
                    .push(DnType::OrganizationName, *group);
            }
        }
        let authority_left = (self.facts.ends - self.now.as_second()) / DAY_SECONDS;
        set_validity(&mut params, self.now, LEAF_DAYS.min(authority_left))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(Error::tls("make a key"))?;
        let signed = params
            .signed_by(&key, &self.issuer)
            .map_err(Error::tls("issue a certificate"))?;
        Ok(Pair {
            certificate: signed.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn make(now: Timestamp) -> Result<Pair, Error> {
    let key = KeyPair::generate().map_err(Error::tls("make a key"))?;
    let mut params = authority_params();
    set_validity(&mut params, now, AUTHORITY_DAYS)?;
    let signed = params
        .self_signed(&key)
        .map_err(Error::tls("make the authority"))?;
    Ok(Pair {
        certificate: signed.pem(),
        key: key.serialize_pem(),
    })
}

/// The shape of our authority. Only the name and the method of key identifiers matter when an
/// existing one signs again, and both are constants.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "annals certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Valid from yesterday, for clocks that are a little behind, until `days` from now.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) -> Result<(), Error> {
    let midnight = |days: i64| {
        let day = now
            .to_zoned(TimeZone::UTC)
            .checked_add(Span::new().days(days));
        day.map(|day| {
            let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
            rcgen::date_time_ymd(i32::from(day.year()), month, day_of_month)
        })
        .map_err(Error::tls("compute a date"))
    };
    params.not_before = midnight(-1)?;
    params.not_after = midnight(days)?;
    Ok(())
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::Damaged {
        path: PathBuf::from(path),
        why: why.to_owned(),
        cure: CURE,
    }
}
