//! Damage that is done on purpose, for the tests of `check` and `repair`.
//!
//! A flipped bit rarely does what a lost page write or a bug of an engine would: a row that is
//! missing, or stands in another's place, each of them whole. Nobody else calls this.

use std::sync::Arc;

use redb::{ReadableTable, WriteTransaction};

use super::super::media::{Fault, Media};
use super::super::record::{decode_header, encode_shelved};
use super::super::tables::{BODY, HEADER, META, RESOURCE, TRASH, begin, failed, guarded, open};
use super::super::{Place, Settings};
use crate::Error;
use crate::model::Epoch;

/// One piece of damage.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Wound {
    /// The row of this version is missing from `header` or `body`.
    Lost(Place, u64),
    /// The rows of two versions stand in each other's place.
    Swapped(Place, u64, u64),
    /// The bytes of a row are noise.
    Noise(Place, u64),
    /// The shelf has this revision of its key instead of the newest.
    Older(u64),
    /// The key of this revision is on no shelf.
    Unshelved(u64),
    /// A number of `meta`.
    Number(&'static str, u64),
}

/// Damages the tables in this file.
///
/// # Errors
///
/// When the file cannot be opened or has no such row.
#[doc(hidden)]
pub fn wound(media: &Arc<dyn Media>, wound: Wound) -> Result<(), Error> {
    let settings = Settings {
        cache_bytes: 1 << 20,
        overlay_revisions: 1,
        overlay_bytes: 1,
        new_epoch: Epoch([0; 16]),
        new_seed: 0,
    };
    let fault: Arc<Fault> = Arc::default();
    guarded(|| {
        let database = open(media, &fault, settings)?;
        let transaction = begin(&database)?;
        strike(&transaction, wound)?;
        transaction.commit().map_err(failed)
    })
}

fn strike(transaction: &WriteTransaction, wound: Wound) -> Result<(), Error> {
    let table = |place| if place == Place::Body { BODY } else { HEADER };
    let row = |place, version: u64| {
        let table = transaction.open_table(table(place)).map_err(failed)?;
        let row = table.get(version).map_err(failed)?;
        let row = row.ok_or_else(|| Error::corrupt("no such row"))?;
        Ok::<_, Error>(row.value().to_vec())
    };
    let put = |place, version: u64, bytes: &[u8]| {
        let mut table = transaction.open_table(table(place)).map_err(failed)?;
        table.insert(version, bytes).map(drop).map_err(failed)
    };
    match wound {
        Wound::Lost(place, version) => {
            let mut table = transaction.open_table(table(place)).map_err(failed)?;
            table.remove(version).map(drop).map_err(failed)
        }
        Wound::Swapped(place, one, other) => {
            let (first, second) = (row(place, one)?, row(place, other)?);
            put(place, one, &second)?;
            put(place, other, &first)
        }
        Wound::Noise(place, version) => {
            let mut bytes = row(place, version)?;
            bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
            put(place, version, &bytes)
        }
        Wound::Older(version) => {
            let header = decode_header(&row(Place::Header, version)?)?;
            let mut shelf = transaction.open_table(RESOURCE).map_err(failed)?;
            let entry = encode_shelved(&header)?;
            let put = shelf.insert(header.key.encoded(), &*entry);
            put.map(drop).map_err(failed)
        }
        Wound::Unshelved(version) => {
            let header = decode_header(&row(Place::Header, version)?)?;
            for shelf in [RESOURCE, TRASH] {
                let mut shelf = transaction.open_table(shelf).map_err(failed)?;
                shelf.remove(header.key.encoded()).map_err(failed)?;
            }
            Ok(())
        }
        Wound::Number(name, number) => {
            let mut meta = transaction.open_table(META).map_err(failed)?;
            let put = meta.insert(name, &number.to_le_bytes()[..]);
            put.map(drop).map_err(failed)
        }
    }
}
