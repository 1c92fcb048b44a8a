//! What a check has found, as JSON: the answer of the server and of `annals check -o json`.
//!
//! ```text
//! {"kind": "CheckReport", "apiVersion": "store.annals.dev/v1", "sound": false,
//!  "resourceVersion": "9", "revisions": 9, "objects": 3, "deleted": 1, "wrong": 2,
//!  "findings": [{"place": "body", "key": "...", "first": "4", "last": "4", "touches": "past",
//!                "lost": ["5", "6"], "problem": "...", "text": "the whole as a sentence"}]}
//! ```

use annals::Report;
use serde_json::{Value, json};

/// The group and version of what is said of the store.
pub(crate) const STORE_API: &str = "store.annals.dev/v1";

/// A report as JSON.
pub(crate) fn report(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        let lost = finding.lost.iter().map(ToString::to_string);
        json!({
            "place": finding.place.as_str(),
            "key": finding.key.as_ref().map(ToString::to_string),
            "first": finding.versions.map(|versions| versions.0.to_string()),
            "last": finding.versions.map(|versions| versions.1.to_string()),
            "touches": finding.touches.as_str(),
            "lost": lost.collect::<Vec<_>>(),
            "problem": finding.problem,
            "text": finding.to_string(),
        })
    });
    json!({
        "kind": "CheckReport",
        "apiVersion": STORE_API,
        "sound": report.is_sound(),
        "resourceVersion": report.version.to_string(),
        "revisions": report.revisions,
        "objects": report.live,
        "deleted": report.trash,
        "wrong": report.wrong,
        "findings": findings.collect::<Vec<_>>(),
    })
}
