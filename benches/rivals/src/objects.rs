//! The objects that every engine is given, byte for byte the same.
//!
//! Two kinds of text: words of random digits, which hardly compress and are the worst that a store
//! that packs can meet; and panels of a dashboard, as generated JSON, which compress as the JSON
//! of such systems does.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The encoded key, as long as the one that annals stores.
pub(crate) fn key(number: u64) -> String {
    let (group, resource) = annals_bench::KIND;
    let name = annals_bench::name(number);
    format!("{group}\0{resource}\0default\0{name}")
}

/// What the text of an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Words,
    Panels,
}

const TEXTS: u64 = 64;

/// Whether the objects have labels: annals keeps an index of them, and no rival does.
pub(crate) static LABELLED: AtomicBool = AtomicBool::new(true);

/// The `edit`-th revision of an object of about so many bytes. Two edits differ in two numbers,
/// two objects in everything.
pub(crate) fn body(number: u64, edit: u64, bytes: usize, text: Text) -> Vec<u8> {
    static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| (0..TEXTS).map(words).collect());
    static PANELS: LazyLock<Vec<String>> = LazyLock::new(|| (0..TEXTS).map(panels).collect());
    let pool = match text {
        Text::Words => &WORDS,
        Text::Panels => &PANELS,
    };
    let name = annals_bench::name(number);
    // Under another name, the same text says nothing to the index.
    let labels = match LABELLED.load(Ordering::Relaxed) {
        true => "labels",
        false => "legend",
    };
    let mut body = format!(
        r#"{{"apiVersion":"bench.annals.dev/v1","kind":"Thing","metadata":{{"name":"{name}","namespace":"default","generation":{edit},"{labels}":{{"app":"a{}","tier":"t{}"}},"annotations":{{"grafana.app/folder":"f{}"}}}},"spec":{{"title":"Thing {number}","replicas":{},"#,
        number % 10,
        number % 3,
        number % 100,
        edit % 7,
    );
    body.push_str(match text {
        Text::Words => r#""description":""#,
        Text::Panels => r#""panels":["#,
    });
    let mut part = number;
    while body.len() + 4 < bytes {
        let next = &pool[usize::try_from(part % TEXTS).unwrap_or(0)];
        match text {
            Text::Words => {
                let room = bytes - body.len() - 3;
                body.push_str(&next[..room.min(next.len())]);
            }
            Text::Panels => body.push_str(next),
        }
        part = part.wrapping_mul(31).wrapping_add(7);
    }
    match text {
        Text::Words => body.push_str("\"}}"),
        Text::Panels => body.push_str("{}]}}"),
    }
    body.into_bytes()
}

fn words(number: u64) -> String {
    let mut seed = number;
    let mut word = || {
        seed = seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        format!("w{:04x} ", seed >> 48)
    };
    (0..128).map(|_| word()).collect()
}

fn panels(number: u64) -> String {
    let metric = number.wrapping_mul(0x9e37_79b9) % 0xffff;
    format!(
        r#"{{"id":{number},"title":"Panel {number} of node_{metric:x}_seconds","type":"timeseries","datasource":{{"type":"prometheus","uid":"${{datasource}}"}},"gridPos":{{"h":8,"w":12,"x":{},"y":{}}},"fieldConfig":{{"defaults":{{"unit":"s","thresholds":{{"mode":"absolute","steps":[{{"color":"green"}},{{"color":"red","value":{}}}]}}}}}},"targets":[{{"expr":"sum by (instance) (rate(node_{metric:x}_seconds{{job=\"j{}\"}}[5m]))","legendFormat":"{{{{instance}}}}","refId":"A"}}]}},"#,
        number % 2 * 12,
        number % 50 * 4,
        number % 97,
        number % 7,
    )
}

/// A number that looks random, the same in every run.
pub(crate) fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
