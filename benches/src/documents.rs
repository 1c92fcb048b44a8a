//! Dashboards that are edited as people do: real ones if `ANNALS_TEST_DATA` names the folder that
//! has them, otherwise generated ones.

use std::path::PathBuf;

use serde_json::{Value, json};

/// A dashboard that is edited, and the random numbers that say how.
#[derive(Debug)]
pub struct Document {
    spec: Value,
    panels: usize,
    revision: u64,
    random: u64,
}

impl Document {
    /// The document with this content, not edited yet.
    #[must_use]
    pub fn new(spec: Value) -> Self {
        let panels = spec["panels"].as_array().map_or(0, Vec::len);
        Document {
            spec,
            panels,
            revision: 0,
            random: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// A document of about so many bytes: real if there are real ones.
    ///
    /// # Panics
    ///
    /// When the real ones cannot be read.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let mut reals = dashboards();
        let distance = |spec: &Value| spec.to_string().len().abs_diff(bytes);
        reals.sort_by_key(distance);
        let fits = |spec: &Value| spec.to_string().len() <= bytes;
        let first = reals.iter().position(fits).map(|at| reals.remove(at));
        let mut spec = first.unwrap_or_else(|| json!({ "title": "Generated", "panels": [] }));
        // Filled up with the panels of the others, then with generated ones.
        let mut more = reals.iter_mut().flat_map(panels_of).chain((1..).map(panel));
        let mut length = spec.to_string().len();
        let panels = spec["panels"].as_array_mut().expect("panels");
        while length < bytes {
            let next = more.next().expect("there are always more");
            let size = next.to_string().len();
            if panels.is_empty() || length + size <= bytes + bytes / 8 {
                length += size + 1;
                panels.push(next);
            }
        }
        Document::new(spec)
    }

    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below.max(1) as u64) as usize
    }

    /// The next revision as it is stored, under some name.
    pub fn revise(&mut self) -> Vec<u8> {
        self.revise_as("an-edited-dashboard")
    }

    /// The next revision as it is stored.
    pub fn revise_as(&mut self, name: &str) -> Vec<u8> {
        self.edit();
        self.revision += 1;
        let (day, second) = (self.revision / 40 % 28 + 1, self.revision * 1_741 % 60);
        let minute = self.revision * 7 % 60;
        self.spec["version"] = json!(self.revision);
        let stamp = format!("2026-03-{day:02}T14:{minute:02}:{second:02}Z");
        json!({
            "apiVersion": "dashboard.grafana.app/v1",
            "kind": "Dashboard",
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": "6f5b5c39-8d6d-4b0e-9a55-6a3a4f8f2b11",
                "generation": self.revision,
                "creationTimestamp": "2026-03-01T10:00:00Z",
                "annotations": {
                    "grafana.app/folder": "general",
                    "grafana.app/updatedBy": "user:u000000002",
                    "grafana.app/updatedTimestamp": stamp,
                },
            },
            "spec": self.spec,
        })
        .to_string()
        .into_bytes()
    }

    /// One change as a person makes it.
    fn edit(&mut self) {
        let kind = self.random(14);
        let (number, choice) = (self.random(900) + 100, self.random(4));
        let panels = self.spec["panels"].as_array().map_or(0, Vec::len);
        let at = self.random(panels);
        let base = self.panels;
        let list = self.spec["panels"].as_array_mut().expect("panels");
        let word = ["errors", "by namespace", "p99", "saturation of the pool"][choice];
        match kind {
            0..4 => list[at]["title"] = json!(format!("Panel {number}: {word}")),
            4..6 => {
                // A panel that grows moves all below it.
                for panel in &mut list[at..] {
                    let y = panel["gridPos"]["y"].as_u64().unwrap_or(0);
                    panel["gridPos"]["y"] = json!(y % 400 + 1);
                }
            }
            6..9 => {
                let steps = json!([{ "color": "green" }, { "color": "red", "value": number }]);
                list[at]["fieldConfig"]["defaults"]["thresholds"]["steps"] = steps;
            }
            9..12 => {
                let query = format!("sum(rate(http_requests_total{{code=\"{number}\"}}[5m]))");
                list[at]["targets"] = json!([{ "expr": query, "refId": "A" }]);
            }
            12 if list.len() <= base && list[at].get("panels").is_none() => {
                let mut copy = list[at].clone();
                copy["id"] = json!(number);
                copy["title"] = json!(format!("{word}, again"));
                list.insert(at, copy);
            }
            _ if list.len() > base => drop(list.remove(at)),
            _ => self.spec["title"] = json!(format!("Overview {number}")),
        }
    }
}

/// The panels of a dashboard, taken out of it.
fn panels_of(spec: &mut Value) -> Vec<Value> {
    match spec["panels"].take() {
        Value::Array(panels) => panels,
        _ => Vec::new(),
    }
}

/// A generated panel of nearly a thousand bytes.
fn panel(number: u64) -> Value {
    let metric = format!(
        "node_{:x}_seconds",
        number.wrapping_mul(0x9e37_79b9) % 0xffff
    );
    json!({
        "id": number,
        "title": format!("Panel {number} of {metric}"),
        "type": "timeseries",
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "gridPos": { "h": 8, "w": 12, "x": number % 2 * 12, "y": number % 50 * 4 },
        "fieldConfig": { "defaults": { "unit": "s", "thresholds": { "mode": "absolute",
            "steps": [{ "color": "green" }, { "color": "red", "value": number % 97 }] } } },
        "targets": [{
            "expr": format!("sum by (instance) (rate({metric}{{job=\"j{}\"}}[5m]))", number % 7),
            "legendFormat": "{{instance}}",
            "refId": "A",
        }],
    })
}

/// The real dashboards, if there are any.
///
/// # Panics
///
/// When they cannot be read.
#[must_use]
pub fn dashboards() -> Vec<Value> {
    let Some(folder) = std::env::var_os("ANNALS_TEST_DATA").map(PathBuf::from) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder.join("dashboards")).expect("a folder of dashboards");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let text = |path| std::fs::read(path).expect("a dashboard");
    let parse = |path| serde_json::from_slice(&text(path)).expect("JSON");
    paths.into_iter().map(parse).collect()
}
