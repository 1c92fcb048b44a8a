//! Which objects of a collection are meant: a label selector, a field selector, and what the caller
//! may see.

use super::{Header, LabelSelector, Scope};

/// A field that every object has and that can be selected on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectField {
    /// `metadata.name`
    Name,
    /// `metadata.namespace`
    Namespace,
}

/// One term of a field selector: the field equals the value, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTest {
    /// The field to look at.
    pub field: ObjectField,
    /// Whether the values must be equal, or must differ.
    pub equals: bool,
    /// The value to compare with.
    pub value: String,
}

/// A choice among the objects of a collection. The default chooses all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// All of these label requirements hold.
    pub labels: LabelSelector,
    /// And all of these field tests.
    pub fields: Vec<FieldTest>,
    /// And this covers the object: to who may not see it, it is not there.
    pub scope: Scope,
}

impl Filter {
    /// Only the objects whose labels this selector chooses:
    /// `Filter::with_labels("team=news".parse()?)`.
    #[must_use]
    pub fn with_labels(labels: LabelSelector) -> Self {
        let fields = Vec::new();
        Filter {
            labels,
            fields,
            scope: Scope::All,
        }
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.scope.is_all()
    }

    /// Whether an object with this header is chosen. Says nothing about whether it is live.
    #[must_use]
    pub fn matches(&self, header: &Header) -> bool {
        self.selects(header) && self.scope.covers(header)
    }

    /// The same, of an object that is known to be covered.
    pub(crate) fn selects(&self, header: &Header) -> bool {
        let fields = self.fields.iter().all(|test| {
            let value = match test.field {
                ObjectField::Name => header.key.name(),
                ObjectField::Namespace => header.key.namespace(),
            };
            (value == test.value) == test.equals
        });
        fields && self.labels.matches(|key| header.label(key))
    }

    /// The only name that can match, if the filter pins one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.pinned(ObjectField::Name)
    }

    /// The only namespace that can match, if the filter pins one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.pinned(ObjectField::Namespace)
    }

    fn pinned(&self, field: ObjectField) -> Option<&str> {
        self.fields
            .iter()
            .find(|test| test.equals && test.field == field)
            .map(|test| test.value.as_str())
    }
}
