//! The road of a search: plan, run it on the shards it concerns, order, read the page.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tantivy::collector::{Count, TopDocs};
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{Order, Searcher, TantivyDocument};

use crate::collect::{Collect, Found, Harvest};
use crate::error::{Error, Result};
use crate::generation::{Ground, View};
use crate::plan::Plan;
use crate::query::{Hit, Hits, Query, Sort, SortBy};
use crate::scope::Scope;
use crate::stored::{Aside, Stored};

/// Answers a query from what a view shows.
pub(crate) fn search(ground: &Ground, view: &View, query: &Query, scope: &Scope) -> Result<Hits> {
    let plan = Plan::new(&ground.fields, query)?;
    scope.check()?;
    let sort = order(query, plan.is_scored());
    let collect = Collect {
        query,
        scope,
        sort: &sort,
        scored: plan.is_scored(),
        window: if query.limit == 0 {
            0
        } else {
            query.offset + query.limit
        },
    };
    let shards = concerned(ground, view, query, scope);
    let mut relaxed = false;
    let mut harvest = run(&shards, plan.strict().as_ref(), &collect)?;
    if harvest.1.total == 0 && plan.can_relax() {
        let wider = run(&shards, plan.relaxed().as_ref(), &collect)?;
        relaxed = wider.1.total > 0;
        harvest = wider;
    }
    let (found, harvest) = harvest;
    let page = found.into_iter().skip(query.offset);
    let hits = page
        .map(|(id, found)| hit(ground, &shards, id, &found))
        .collect::<Result<_>>()?;
    let counts = harvest
        .counts
        .into_iter()
        .chain(std::iter::repeat_with(Default::default));
    let facets = query
        .facets
        .iter()
        .zip(counts)
        .map(|(facet, counts)| counts.answer(facet));
    Ok(Hits {
        version: view.version,
        total: harvest.total,
        relaxed,
        max_score: harvest.max_score,
        hits,
        facets: facets.collect(),
    })
}

/// The order asked for, or the natural one.
fn order(query: &Query, scored: bool) -> Vec<Sort> {
    if !query.sort.is_empty() {
        return query.sort.clone();
    }
    match scored {
        true => vec![Sort {
            by: SortBy::Score,
            descending: true,
        }],
        false => vec![Sort {
            by: SortBy::Title,
            descending: false,
        }],
    }
}

type Shards<'a> = BTreeMap<u16, &'a Searcher>;

fn concerned<'a>(ground: &Ground, view: &'a View, query: &Query, scope: &Scope) -> Shards<'a> {
    let only = query
        .namespace
        .as_deref()
        .map(|namespace| ground.identity.shard_of(namespace));
    let shards = view.shards.iter().map(|(&id, searcher)| (id, searcher));
    shards
        .filter(|(id, _)| *scope != Scope::None && only.is_none_or(|only| only == *id))
        .collect()
}

/// Runs a query on some shards. The documents come back with the shard each was found in.
fn run(
    shards: &Shards<'_>,
    query: &dyn tantivy::query::Query,
    collect: &Collect<'_>,
) -> Result<(Vec<(u16, Found)>, Harvest)> {
    let mut sum = Harvest::default();
    let mut found = Vec::new();
    for (&id, searcher) in shards {
        let mut harvest = searcher.search(query, collect)?;
        found.extend(harvest.found.drain(..).map(|found| (id, found)));
        sum.merge(harvest, collect.window);
    }
    found.sort_by(|(_, a), (_, b)| (&a.ranks, &a.key).cmp(&(&b.ranks, &b.key)));
    found.truncate(collect.window);
    Ok((found, sum))
}

fn hit(ground: &Ground, shards: &Shards<'_>, id: u16, found: &Found) -> Result<Hit> {
    let searcher = shards
        .get(&id)
        .ok_or_else(|| Error::damaged("a shard went missing"))?;
    let document: TantivyDocument = searcher.doc(found.address)?;
    Stored::read(stored_bytes(ground, &document)?, found.score)
}

fn stored_bytes<'a>(ground: &Ground, document: &'a TantivyDocument) -> Result<&'a [u8]> {
    let stored = document
        .get_first(ground.fields.stored)
        .and_then(|value| value.as_bytes());
    stored.ok_or_else(|| Error::damaged("a document without content"))
}

/// How many documents a view holds, how many marks, and the newest of the marks.
pub(crate) fn survey(ground: &Ground, view: &View, marks: usize) -> Result<Survey> {
    let query = TermQuery::new(ground.fields.aside_term(), IndexRecordOption::Basic);
    let newest = || TopDocs::with_limit(marks).order_by_fast_field::<u64>("version", Order::Desc);
    let mut survey = Survey::default();
    for searcher in view.shards.values() {
        let (aside, newest) = searcher.search(&query, &(Count, newest()))?;
        survey.documents += searcher.num_docs().saturating_sub(aside as u64);
        survey.set_aside += aside as u64;
        for (_, address) in newest {
            let document: TantivyDocument = searcher.doc(address)?;
            survey
                .marks
                .push(Aside::read(stored_bytes(ground, &document)?)?);
        }
    }
    survey.marks.sort_by_key(|mark| Reverse(mark.version));
    survey.marks.truncate(marks);
    Ok(survey)
}

/// What a view holds.
#[derive(Default)]
pub(crate) struct Survey {
    pub(crate) documents: u64,
    pub(crate) set_aside: u64,
    pub(crate) marks: Vec<Aside>,
}
