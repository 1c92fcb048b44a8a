//! A scope, compiled for one segment: the test every matching document passes before it counts.
//!
//! Folders, names, types and namespaces are numbers within a segment. A set of names becomes a
//! bitset over those numbers, so the test is a few column reads and bits whatever the size of the
//! set. A grant for a type or namespace the segment does not hold is left out.

use std::collections::BTreeSet;

use tantivy::columnar::StrColumn;
use tantivy::{DocId, SegmentReader};

use crate::error::Result;
use crate::schema::{exact, inexact, type_term};
use crate::scope::{Grant, Reach, Scope};

/// Looking up a name costs about as much as walking past so many terms.
const WALK_TERMS: usize = 64;

pub(crate) enum Gate {
    Open,
    Only(Box<Grants>),
}

pub(crate) struct Grants {
    types: Option<StrColumn>,
    namespaces: Option<StrColumn>,
    folders: Option<StrColumn>,
    names: Option<StrColumn>,
    grants: Vec<SegmentGrant>,
}

struct SegmentGrant {
    typ: Option<u64>,
    namespace: Option<u64>,
    reach: SegmentReach,
}

enum SegmentReach {
    All,
    Folders(Bits),
    Names(Bits),
}

/// A set of small numbers.
struct Bits(Vec<u64>);

impl Bits {
    /// The numbers of those names that a column holds.
    fn of(column: Option<&StrColumn>, names: &BTreeSet<String>) -> Result<Bits> {
        let Some(column) = column else {
            return Ok(Bits(Vec::new()));
        };
        let mut bits = Bits(vec![0; column.num_terms().div_ceil(64)]);
        if column.num_terms() > names.len() * WALK_TERMS {
            for name in names {
                if let Some(ord) = column.dictionary().term_ord(exact(name))? {
                    bits.add(ord);
                }
            }
            return Ok(bits);
        }
        let mut terms = column.dictionary().stream()?;
        while terms.advance() {
            let name = std::str::from_utf8(terms.key()).map(inexact);
            if name.is_ok_and(|name| names.contains(name)) {
                bits.add(terms.term_ord());
            }
        }
        Ok(bits)
    }

    fn add(&mut self, ord: u64) {
        self.0[(ord / 64) as usize] |= 1 << (ord % 64);
    }

    fn holds(&self, ord: Option<u64>) -> bool {
        ord.is_some_and(|ord| {
            let word = self.0.get((ord / 64) as usize).copied().unwrap_or(0);
            word & (1 << (ord % 64)) != 0
        })
    }
}

impl Gate {
    pub(crate) fn new(scope: &Scope, segment: &SegmentReader) -> Result<Gate> {
        let grants = match scope {
            Scope::All => return Ok(Gate::Open),
            Scope::None => &[],
            Scope::Only(grants) => grants.as_slice(),
        };
        let columns = segment.fast_fields();
        let mut compiled = Grants {
            types: columns.str("type")?,
            namespaces: columns.str("namespace")?,
            folders: columns.str("folder")?,
            names: columns.str("name")?,
            grants: Vec::new(),
        };
        for grant in grants {
            if let Some(grant) = compiled.compile(grant)? {
                compiled.grants.push(grant);
            }
        }
        Ok(Gate::Only(Box::new(compiled)))
    }

    pub(crate) fn lets(&self, doc: DocId) -> bool {
        match self {
            Gate::Open => true,
            Gate::Only(grants) => grants.let_in(doc),
        }
    }
}

impl Grants {
    fn compile(&self, grant: &Grant) -> Result<Option<SegmentGrant>> {
        let kind = grant
            .kind
            .as_ref()
            .map(|(group, resource)| type_term(group, resource));
        let namespace = grant.namespace.as_deref().map(exact);
        let typ = ord(self.types.as_ref(), kind.as_deref())?;
        let namespace_ord = ord(self.namespaces.as_ref(), namespace)?;
        if (kind.is_some() && typ.is_none()) || (namespace.is_some() && namespace_ord.is_none()) {
            return Ok(None);
        }
        let reach = match &grant.reach {
            Reach::All => SegmentReach::All,
            Reach::Folders(set) => SegmentReach::Folders(Bits::of(self.folders.as_ref(), set)?),
            Reach::Names(set) => SegmentReach::Names(Bits::of(self.names.as_ref(), set)?),
        };
        Ok(Some(SegmentGrant {
            typ,
            namespace: namespace_ord,
            reach,
        }))
    }

    fn let_in(&self, doc: DocId) -> bool {
        self.grants.iter().any(|grant| {
            fits(grant.typ, self.types.as_ref(), doc)
                && fits(grant.namespace, self.namespaces.as_ref(), doc)
                && match &grant.reach {
                    SegmentReach::All => true,
                    SegmentReach::Folders(set) => set.holds(first(self.folders.as_ref(), doc)),
                    SegmentReach::Names(set) => set.holds(first(self.names.as_ref(), doc)),
                }
        })
    }
}

fn ord(column: Option<&StrColumn>, term: Option<&str>) -> Result<Option<u64>> {
    match (column, term) {
        (Some(column), Some(term)) => Ok(column.dictionary().term_ord(term)?),
        _ => Ok(None),
    }
}

fn first(column: Option<&StrColumn>, doc: DocId) -> Option<u64> {
    column.and_then(|column| column.ords().first(doc))
}

fn fits(wanted: Option<u64>, column: Option<&StrColumn>, doc: DocId) -> bool {
    wanted.is_none_or(|wanted| first(column, doc) == Some(wanted))
}
