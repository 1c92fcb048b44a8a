//! Parquet: the columns of a bulk export of Grafana's unified storage, in its order.
//!
//! ```text
//! resource_version INT64 | group | resource | namespace | name | folder   BYTE_ARRAY (UTF8)
//! action INT32 (INT_8): 1 created, 2 updated, 3 deleted | value BYTE_ARRAY (UTF8): the body
//! ```
//!
//! All are required, compressed with Brotli; a row group ends once its values have more than
//! [`GROUP_BYTES`]. Version, epoch and history stand in the key-value metadata of the footer, as
//! `annals.version`, `annals.epoch` and `annals.history`. A file without these is somebody
//! else's: it is taken for one with history. Time and author have no column, and are lost.

mod read;
mod write;

pub(super) use read::In;
pub(super) use write::Out;

use annals::Action;

/// A row group ends once its values have more bytes than this.
pub const GROUP_BYTES: usize = 10_240_000;

/// The columns in their order.
const COLUMNS: [&str; 8] = [
    "resource_version",
    "group",
    "resource",
    "namespace",
    "name",
    "folder",
    "action",
    "value",
];

const VERSION: &str = "annals.version";
const EPOCH: &str = "annals.epoch";
const HISTORY: &str = "annals.history";

/// The numbers of actions.
const ACTIONS: [(Action, i32); 3] = [
    (Action::Created, 1),
    (Action::Updated, 2),
    (Action::Deleted, 3),
];
