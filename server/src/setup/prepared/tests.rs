//! Catches a restart that makes new secrets, a certificate kept past its end or its names, a lost
//! kubeconfig that locks the administrator out, and a secret readable by others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::client::kubeconfig::Kubeconfig;
use crate::net::TokenHash;

fn start(dir: &DataDir, listen: &str, sans: &[&str], day: i64) -> Result<Prepared, Error> {
    let sans: Vec<String> = sans.iter().map(|san| (*san).to_owned()).collect();
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let now = now
        .checked_add(SignedDuration::from_hours(24 * day))
        .unwrap();
    prepare(
        dir,
        &Wish {
            listen: listen.parse().unwrap(),
            tls_sans: &sans,
            now,
        },
    )
}

fn files(dir: &DataDir) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in [dir.path().to_owned(), dir.path().join("tls")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// Names of the files that differ.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    after
        .iter()
        .filter(|(name, text)| before.get(*name) != Some(text))
        .map(|e| e.0.clone())
        .collect()
}

const HERE: &str = "127.0.0.1:6443";

#[test]
fn what_changes_is_written_and_nothing_else() {
    let dir = DataDir::ephemeral().unwrap();
    assert!(start(&dir, HERE, &[], 0).unwrap().new_token);
    let first = files(&dir);
    assert_eq!(first.len(), 6, "{:?}", first.keys());

    assert!(!start(&dir, HERE, &[], 1).unwrap().new_token);
    assert_eq!(changed(&first, &files(&dir)), [""; 0], "a restart");

    start(&dir, "127.0.0.1:7000", &[], 1).unwrap();
    let moved = files(&dir);
    assert_eq!(
        changed(&first, &moved),
        ["admin.kubeconfig"],
        "another port"
    );
    assert!(moved["admin.kubeconfig"].contains("https://127.0.0.1:7000"));

    start(&dir, "127.0.0.1:7000", &["annals.test"], 1).unwrap();
    let named = files(&dir);
    assert_eq!(
        changed(&moved, &named),
        ["server.crt", "server.key"],
        "another name"
    );

    start(&dir, "127.0.0.1:7000", &["annals.test"], 400).unwrap();
    assert_eq!(
        changed(&named, &files(&dir)),
        [""; 0],
        "well before the end"
    );
    start(&dir, "127.0.0.1:7000", &["annals.test"], 500).unwrap();
    let renewed = files(&dir);
    let expected = ["admin.kubeconfig", "server.crt", "server.key"];
    assert_eq!(changed(&named, &renewed), expected, "near the end");
}

#[test]
fn the_clear_token_is_only_in_the_kubeconfig() {
    let dir = DataDir::ephemeral().unwrap();
    start(&dir, HERE, &[], 0).unwrap();
    let files = files(&dir);
    let config = Kubeconfig::parse(&files["admin.kubeconfig"]).unwrap();
    let current = config.current().unwrap();
    let token = current.user.token.clone().unwrap();
    assert!(token.len() >= 43, "32 random bytes");
    assert_eq!(current.namespace, Some("default"));
    assert_eq!(
        files["admin.sha256"].trim(),
        TokenHash::of(token.as_bytes()).to_string()
    );
    for (name, text) in files.iter().filter(|(name, _)| *name != "admin.kubeconfig") {
        assert!(!text.contains(&token), "{name}");
    }
}

#[test]
fn a_lost_or_broken_kubeconfig_is_made_anew_with_another_token() {
    let dir = DataDir::ephemeral().unwrap();
    start(&dir, HERE, &[], 0).unwrap();
    for damage in [None, Some("{"), Some("kind: Config\n")] {
        let before = files(&dir);
        let path = dir.path().join("admin.kubeconfig");
        match damage {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        assert!(start(&dir, HERE, &[], 0).unwrap().new_token);
        let after = files(&dir);
        assert_eq!(
            changed(&before, &after),
            ["admin.kubeconfig", "admin.sha256"]
        );
    }
}

#[test]
fn a_damaged_authority_is_refused_with_the_cure() {
    for (name, text) in [("ca.crt", "nonsense"), ("ca.key", "nonsense")] {
        let dir = DataDir::ephemeral().unwrap();
        start(&dir, HERE, &[], 0).unwrap();
        fs::write(dir.path().join("tls").join(name), text).unwrap();
        let error = start(&dir, HERE, &[], 0).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("start over"),
            "{error}"
        );
    }
    let (one, two) = (DataDir::ephemeral().unwrap(), DataDir::ephemeral().unwrap());
    start(&one, HERE, &[], 0).unwrap();
    start(&two, HERE, &[], 0).unwrap();
    fs::copy(one.path().join("tls/ca.key"), two.path().join("tls/ca.key")).unwrap();
    let error = start(&two, HERE, &[], 0).unwrap_err().to_string();
    assert!(error.contains("does not belong"), "{error}");
    let error = start(&one, HERE, &[], 4000).unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");
}

#[test]
fn a_foreign_key_beside_the_server_certificate_is_replaced() {
    let dir = DataDir::ephemeral().unwrap();
    start(&dir, HERE, &[], 0).unwrap();
    let tls = dir.path().join("tls");
    fs::copy(tls.join("ca.key"), tls.join("server.key")).unwrap();
    start(&dir, HERE, &[], 0).unwrap();
    assert_ne!(
        fs::read(tls.join("ca.key")).unwrap(),
        fs::read(tls.join("server.key")).unwrap()
    );
}

#[test]
fn an_unspecified_address_is_dialled_at_the_loopback() {
    for (listen, url) in [
        ("0.0.0.0:1", "https://127.0.0.1:1"),
        ("[::]:2", "https://[::1]:2"),
        ("10.1.2.3:3", "https://10.1.2.3:3"),
    ] {
        assert_eq!(
            format!("https://{}", reachable(listen.parse().unwrap())),
            url
        );
    }
}
