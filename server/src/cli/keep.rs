//! Rules of retention as people write them.
//!
//! ```text
//! rules    [rule] {";" [rule]}                    at least one
//! rule     [scope ":"] limit {"," limit}          revisions=20,trash=30d
//! scope    see `scope`                            dashboards.dashboard.grafana.app/team-a
//! limit    "revisions=" number | "age=" span | "trash=" span | "everything"
//! span     number ("s" | "m" | "h" | "d")
//! ```
//!
//! Called by `serve` and `compact`.

use std::str::FromStr;
use std::time::Duration;

use annals::{Collection, Keep, Options};

use super::scope::Scope;

/// What is kept of the objects of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    collection: Collection,
    keep: Keep,
}

/// The longest span of a rule.
const SPAN_DAYS_MAX: u64 = 36_500;
/// The most revisions that a rule can name.
const REVISIONS_MAX: u64 = 1_000_000_000;

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// The rules of one flag, or of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    /// The options with these rules.
    pub(super) fn add_all(rules: &[Rules], options: Options) -> Options {
        let rules = rules.iter().flat_map(|rules| &rules.0);
        rules.fold(options, |options, rule| {
            options.retention(rule.collection.clone(), rule.keep)
        })
    }
}

impl FromStr for Rules {
    type Err = String;

    /// Nothing between two semicolons, or behind the last, is no rule: that is how lists are put
    /// together. Nothing at all is a slip.
    fn from_str(text: &str) -> Result<Self, String> {
        let rules = text.split(';').map(str::trim);
        let rules = rules.filter(|rule| !rule.is_empty()).map(str::parse);
        let rules: Vec<Rule> = rules.collect::<Result<_, _>>()?;
        if rules.is_empty() {
            return Err(format!(
                "{text:?}: expected a rule, such as revisions=20,trash=30d"
            ));
        }
        Ok(Rules(rules))
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (collection, limits) = match text.split_once(':') {
            Some((scope, limits)) => (scope.parse::<Scope>()?.collection, limits),
            None => (Collection::all(), text),
        };
        // Two limits of one sort, or one beside `everything`, would be taken for something else.
        let mut sorts: Vec<&str> = limits.split(',').map(sort_of).collect();
        let count = sorts.len();
        sorts.sort_unstable();
        sorts.dedup();
        if sorts.len() < count || (count > 1 && sorts.contains(&"everything")) {
            return Err(format!(
                "{limits:?}: expected each of revisions, age and trash at most once, or everything alone"
            ));
        }
        let keep = limits.split(',').try_fold(Keep::everything(), limit)?;
        Ok(Rule { collection, keep })
    }
}

/// The word that a limit begins with.
fn sort_of(limit: &str) -> &str {
    limit.split('=').next().unwrap_or_default().trim()
}

fn limit(keep: Keep, text: &str) -> Result<Keep, String> {
    let wrong = || {
        format!(
            "{text:?}: expected revisions=NUMBER, age=SPAN, trash=SPAN or everything, such as revisions=20,trash=30d"
        )
    };
    match text.trim().split_once('=') {
        None if text.trim() == "everything" => Ok(keep),
        Some(("revisions", number)) => {
            let count = number
                .parse()
                .ok()
                .filter(|count| (1..=REVISIONS_MAX).contains(count));
            let wrong =
                || format!("revisions={number}: expected a number from 1 to {REVISIONS_MAX}");
            count.map(|count| keep.revisions(count)).ok_or_else(wrong)
        }
        Some(("age", text)) => Ok(keep.age(span(text)?)),
        Some(("trash", text)) => Ok(keep.trash(span(text)?)),
        _ => Err(wrong()),
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{text:?}: expected a number of s, m, h or d, such as 30d, at most {SPAN_DAYS_MAX}d"
        )
    };
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
    let (unit, seconds) = unit.ok_or_else(wrong)?;
    let number = text.trim_end_matches(*unit);
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| number.parse::<u64>().ok()).flatten();
    let total = number.and_then(|number| number.checked_mul(*seconds));
    let total = total.filter(|total| *total <= SPAN_DAYS_MAX * 86_400);
    total.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    //! Catches a rule that is read as another one, or that holds for nothing.
    use super::*;

    #[test]
    fn reads_rules() {
        let keep = Keep::everything;
        let day = Duration::from_secs(86_400);
        let dashboards = ("dashboard.grafana.app", "dashboards");
        for (text, collection, expected) in [
            ("revisions=20", Collection::all(), keep().revisions(20)),
            (
                "age=2h, trash=30d",
                Collection::all(),
                keep().age(day / 12).trash(day * 30),
            ),
            ("everything", Collection::all(), keep()),
            (
                "dashboards.dashboard.grafana.app:trash=0s",
                Collection::of(dashboards.0, dashboards.1).unwrap(),
                keep().trash(Duration::ZERO),
            ),
            (
                "dashboards.dashboard.grafana.app/team-a:age=5m",
                Collection::within(dashboards.0, dashboards.1, "team-a").unwrap(),
                keep().age(day / 288),
            ),
            (
                "namespaces:revisions=1",
                Collection::within("", "namespaces", "").unwrap(),
                keep().revisions(1),
            ),
        ] {
            let keep = expected;
            assert_eq!(text.parse(), Ok(Rule { collection, keep }), "{text}");
        }
    }

    #[test]
    fn rules_are_joined_and_may_end_like_a_list() {
        let (one, two) = ("revisions=1", "namespaces:trash=1d");
        let both: Vec<Rule> = [one, two].map(|rule| rule.parse().unwrap()).into();
        for text in ["{};{}", "{};{};", "; {} ;; {} ; ", "{}; {}\n"] {
            let text = text.replacen("{}", one, 1).replacen("{}", two, 1);
            assert_eq!(text.parse(), Ok(Rules(both.clone())), "{text:?}");
        }
        for (text, part) in [
            ("", "expected a rule"),
            (" ; ;", "expected a rule"),
            ("revisions=1;age=x;", "such as 30d"),
            ("revisions=1;revisions", "expected revisions=NUMBER"),
        ] {
            let told = text.parse::<Rules>().unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }

    #[test]
    fn says_what_was_expected() {
        for (text, part) in [
            ("", "expected revisions=NUMBER"),
            ("revisions=0", "from 1 to"),
            ("revisions=-1", "from 1 to"),
            ("age=5", "such as 30d"),
            ("age=d", "such as 30d"),
            ("age=99999999999999999999d", "such as 30d"),
            ("trash=36501d", "at most 36500d"),
            ("keep=3", "expected revisions=NUMBER"),
            ("revisions=5,revisions=6", "at most once"),
            ("age=5m, trash=1d,age=6m", "at most once"),
            ("everything,revisions=5", "everything alone"),
            ("dashboards:revisions=1", "dashboards.dashboard.grafana.app"),
            (
                "dashboards.dashboard.grafana.app/A_b c:revisions=1",
                "namespace",
            ),
        ] {
            let told = text.parse::<Rule>().unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
