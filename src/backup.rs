//! Backups: pieces that are written by [`Store::backup`](crate::Store::backup), and what can be
//! done with them without that store.
//!
//! A piece holds what was committed after one version and up to another, in a stream of bytes that
//! proves itself. A whole backup is one that begins at version zero. Those since the end of
//! another continue it: together they are a chain, and what a chain holds can be brought back as
//! it was at any version and any time within it. `docs/format.md` draws the bytes.
//!
//! ```
//! use annals::backup::{Pieces, Until};
//! use annals::{Key, Options, Store, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (data, file, copy) = (folder.path().join("d"), folder.path().join("f"), folder.path().join("c"));
//! let store = Store::open(data, Options::new())?;
//! store.write(Write::create(Key::new("g.x", "things", "default", "one")?, b"{}".to_vec()))?;
//! let whole = store.backup(None, std::fs::File::create(&file)?)?;
//!
//! let pieces = Pieces::open(&[file])?;
//! assert!(pieces.verify()?.problems.is_empty());
//! let restored = pieces.restore(&copy, Until::Newest, true)?;
//! assert_eq!(restored.version, whole.head.version);
//! # Ok(())
//! # }
//! ```

pub use crate::disk::{Head, Summary};
pub use crate::store::backup::{
    PIECE_END, PIECES_MAX, PROBLEMS_MAX, Piece, Pieces, Restored, Until, Verified, verify,
};
