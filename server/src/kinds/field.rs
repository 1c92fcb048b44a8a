//! The place in an object that a walk has reached, as messages show it: `spec.items[0].type`.
//!
//! One buffer that grows and shrinks with the walk, so that a walk that finds no fault allocates
//! nothing. Keys come from clients, so a long one is cut: a place never costs more than its depth
//! times [`KEY_CHARS`].

use std::fmt;

/// How much of one key a place shows.
const KEY_CHARS: usize = 128;

/// A place in an object.
#[derive(Debug, Default)]
pub struct FieldPath {
    text: String,
    depth: usize,
}

/// What [`FieldPath::leave`] needs to go back.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Mark(usize);

impl FieldPath {
    /// A walk that starts at a named place.
    pub fn at(start: &str) -> Self {
        Self {
            text: start.to_owned(),
            depth: 0,
        }
    }

    /// Steps into the value of a key.
    pub fn enter_key(&mut self, key: &str) -> Mark {
        let mark = Mark(self.text.len());
        if !self.text.is_empty() {
            self.text.push('.');
        }
        match key.char_indices().nth(KEY_CHARS) {
            Some((end, _)) => self.text.extend([&key[..end], "..."]),
            None => self.text.push_str(key),
        }
        self.depth += 1;
        mark
    }

    /// Steps into an entry of a list.
    pub fn enter_index(&mut self, index: usize) -> Mark {
        let mark = Mark(self.text.len());
        self.text.push_str(&format!("[{index}]"));
        self.depth += 1;
        mark
    }

    /// Steps back out.
    pub fn leave(&mut self, mark: Mark) {
        self.text.truncate(mark.0);
        self.depth -= 1;
    }

    /// How many steps from the start.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The place of a key in the value reached.
    pub fn key(&mut self, key: &str) -> String {
        let mark = self.enter_key(key);
        let place = self.text.clone();
        self.leave(mark);
        place
    }

    /// The place reached.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
