//! The names under which the server's certificate is valid.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};

use super::Error;

/// More names than this in one certificate is a mistake.
const NAMES_MAX: usize = 100;

/// The names every certificate carries: this machine, the address listened on, and `extra`.
/// IP addresses are in their shortest form, so that two spellings of one address are one name.
pub(super) fn collect(listen: SocketAddr, extra: &[String]) -> Result<BTreeSet<String>, Error> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"]
        .map(String::from)
        .into_iter()
        .collect();
    if let Some(host) = host_name() {
        names.insert(host);
    }
    if !listen.ip().is_unspecified() {
        names.insert(listen.ip().to_string());
    }
    for name in extra {
        let refused = || Error::San { name: name.clone() };
        names.insert(normalize(name).ok_or_else(refused)?);
        if names.len() > NAMES_MAX {
            return Err(refused());
        }
    }
    Ok(names)
}

fn normalize(name: &str) -> Option<String> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    is_dns_name(name).then(|| name.to_ascii_lowercase())
}

/// A host name by the rules of certificates: labels of letters, digits and inner hyphens; the
/// first label may be `*`.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
    };
    let rest = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253 && rest.split('.').all(label)
}

fn host_name() -> Option<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok())?;
    normalize(name.trim())
}

#[cfg(test)]
mod tests {
    //! Catches names that would make a broken certificate, or one that changes at every start.
    use super::*;

    #[test]
    fn accepts_and_refuses() {
        for (name, expected) in [
            ("Example.COM", Some("example.com")),
            ("*.example.com", Some("*.example.com")),
            ("0:0:0:0:0:0:0:2", Some("::2")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("", None),
            ("a..b", None),
            ("-a", None),
            ("a b", None),
            ("a_b", None),
            ("*", None),
            ("https://example.com", None),
        ] {
            assert_eq!(normalize(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn order_does_not_matter() {
        let listen = "0.0.0.0:1".parse().unwrap();
        let one = collect(listen, &["b.test".into(), "a.test".into()]).unwrap();
        let two = collect(listen, &["a.test".into(), "B.test".into()]).unwrap();
        assert_eq!(one, two);
        assert!(!one.contains("0.0.0.0"));
        let error = collect(listen, &["no good".into()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"no good\"") && error.contains("DNS name"),
            "{error}"
        );
    }
}
