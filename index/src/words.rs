//! How text becomes words: the same way for documents and for queries.
//!
//! Text is cut wherever a character is neither a letter, a digit nor a mark that belongs to one.
//! Each piece is folded: compatibility forms are resolved, accents dropped, case removed. A piece
//! written in camel case is found as a whole and by its parts. Scripts written without spaces
//! (Chinese, Japanese) give one word per character.
//!
//! ```text
//! "kube-apiserver: CoreDNS"  ->  kube | apiserver | coredns, core, dns
//! "Größe ПОДЫ"               ->  grosse | поды
//! ```
//!
//! Absent on purpose: stemming and stop words. Titles are short and in every language.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most bytes of a word; the rest of a longer one is cut off, in documents and queries alike.
pub(crate) const WORD_BYTES_MAX: usize = 128;

/// The pieces of a text, as they stand in it.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter(|piece| !piece.is_empty())
        .flat_map(|piece| Ideographs { rest: piece })
}

/// A piece without case, accents and compatibility forms.
pub(crate) fn fold(piece: &str) -> String {
    let mut folded = String::with_capacity(piece.len());
    for c in piece.nfkd().filter(|&c| !is_accent(c)) {
        for lower in c.to_lowercase().filter(|&c| !is_accent(c)) {
            match plain(lower) {
                Some(letters) => folded.push_str(letters),
                None => folded.push(lower),
            }
        }
    }
    let end = folded.floor_char_boundary(WORD_BYTES_MAX);
    folded.truncate(end);
    folded
}

/// The parts of a piece written in camel case, folded; empty when it has only one.
pub(crate) fn camel(piece: &str) -> Vec<String> {
    let chars: Vec<(usize, char)> = piece.char_indices().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 1..chars.len() {
        let [(_, before), (offset, here)] = [chars[at - 1], chars[at]];
        let after_lower = chars
            .get(at + 1)
            .is_some_and(|(_, next)| next.is_lowercase());
        let rises = before.is_lowercase() && here.is_uppercase();
        let turns = before.is_uppercase() && here.is_uppercase() && after_lower;
        if rises || turns {
            parts.push(fold(&piece[start..offset]));
            start = offset;
        }
    }
    if parts.is_empty() {
        return parts;
    }
    parts.push(fold(&piece[start..]));
    parts.retain(|part| !part.is_empty());
    parts
}

/// Every word a text is found by.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in pieces(text) {
        words.push(fold(piece));
        words.extend(camel(piece));
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The text as a whole, for "is exactly" and for sorting: its folded pieces with single spaces.
pub(crate) fn whole(text: &str) -> String {
    let pieces: Vec<String> = pieces(text)
        .map(fold)
        .filter(|piece| !piece.is_empty())
        .collect();
    pieces.join(" ")
}

/// The runs of three characters of a folded word, in order; empty for a shorter word.
pub(crate) fn trigrams(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    chars
        .windows(3)
        .map(|three| three.iter().collect())
        .collect()
}

/// Marks that a reader would leave out when searching. Vowel signs of other scripts stay.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters that no decomposition takes apart, in plain ones.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

/// Cuts a piece so that each ideograph stands alone.
struct Ideographs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Ideographs<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.rest.chars().next()?;
        let end = if is_ideograph(first) {
            first.len_utf8()
        } else {
            self.rest.find(is_ideograph).unwrap_or(self.rest.len())
        };
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text), expected, "words of {text:?}");
    }

    #[test]
    fn text_is_cut_and_folded() {
        check("kube-apiserver", &["kube", "apiserver"]);
        check("CoreDNS", &["coredns", "core", "dns"]);
        check(
            "APIServer v1beta2",
            &["apiserver", "api", "server", "v1beta2"],
        );
        check("snake_case/path.name", &["snake", "case", "path", "name"]);
        check("Größe Ærø ŁÓDŹ", &["grosse", "aero", "lodz"]);
        check("ПОДЫ Ёлка", &["поды", "елка"]);
        check("e\u{301}tude ﬁle", &["etude", "file"]);
        check("東京node", &["東", "京", "node"]);
        check(" -- / ", &[]);
    }

    #[test]
    fn the_whole_ignores_punctuation_and_case() {
        assert_eq!(whole("Node Exporter / Nodes"), whole("node-exporter nodes"));
    }

    #[test]
    fn trigrams_of_short_words_are_none() {
        assert_eq!(trigrams("ab"), Vec::<String>::new());
        assert_eq!(trigrams("abcd"), ["abc", "bcd"]);
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing_and_words_keep_their_limit(text in "\\PC{0,60}") {
            for word in words(&text) {
                proptest::prop_assert!(word.len() <= WORD_BYTES_MAX);
                proptest::prop_assert_eq!(&fold(&word), &word);
            }
        }
    }
}
