//! Lines of a bounded length, with their numbers.

use std::io::{BufRead, Read};

use super::{Error, ITEM_BYTES_MAX};

/// The lines of a file.
pub(super) struct Lines<R> {
    input: R,
    file: String,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, file: &str) -> Self {
        Self {
            input,
            file: file.to_owned(),
            number: 0,
        }
    }

    /// The next line without its end; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut line = Vec::new();
        let mut input = self.input.by_ref().take(ITEM_BYTES_MAX as u64 + 1);
        let read = input.read_until(b'\n', &mut line);
        self.number += 1;
        match read.map_err(|why| self.wrong(why))? {
            0 => return Ok(None),
            bytes if bytes > ITEM_BYTES_MAX => {
                let why = format!("longer than {ITEM_BYTES_MAX} bytes");
                return Err(self.wrong(why));
            }
            _ => {}
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some(line))
    }

    /// A fault in the line that was read last.
    pub(super) fn wrong(&self, why: impl ToString) -> Error {
        self.wrong_at(self.number, why)
    }

    /// A fault in this line.
    pub(super) fn wrong_at(&self, number: u64, why: impl ToString) -> Error {
        Error::new(self.place(number), why)
    }

    pub(super) fn place(&self, number: u64) -> String {
        format!("{}, line {number}", self.file)
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
