//! Catches a token that is read although it was cut, bent or made up, or that continues another
//! list than its own.

use super::*;

fn binding(namespace: Option<&str>, labels: &str) -> Binding {
    Binding {
        epoch: [7; 16],
        group: "g.example".into(),
        resource: "things".into(),
        namespace: namespace.map(str::to_owned),
        filter: Filter {
            labels: labels.parse().unwrap(),
            ..Filter::default()
        },
    }
}

fn with_field(field: ObjectField, equals: bool, value: &str) -> Binding {
    let value = value.to_owned();
    let mut binding = binding(None, "a=b");
    binding.filter.fields.push(FieldTest {
        field,
        equals,
        value,
    });
    binding
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new("g.example", "things", namespace, name).unwrap()
}

fn why(binding: &Binding, text: &str) -> String {
    let status = binding.read(text).unwrap_err();
    assert_eq!(status.code(), 400);
    assert!(
        status.message.starts_with("continue key is not valid: "),
        "{status}"
    );
    status.message
}

/// A small source of numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        let roll = (self.0 >> 33) % sides as u64;
        usize::try_from(roll).unwrap()
    }
}

#[test]
fn a_token_says_what_was_put_in() {
    let longest = key(&"n".repeat(63), &"x".repeat(253));
    for last in [key("n", "x"), key("", "x"), longest] {
        let binding = binding(None, "a=b");
        for at in [
            At::Version(Version::new(7)),
            At::Version(Version::new(u64::MAX)),
            At::Newest,
        ] {
            let token = binding.token(at, &last);
            assert!(token.len() <= crate::limits::CONTINUE_BYTES / 8, "{token}");
            assert_eq!(binding.read(&token).unwrap(), (at, last.clone()));
        }
    }
}

#[test]
fn a_token_continues_its_own_list_only() {
    let own = binding(None, "a=b");
    let token = own.token(At::Newest, &key("n", "x"));
    let mut others = vec![
        binding(Some("n"), "a=b"),
        binding(Some(""), "a=b"),
        binding(None, "a=c"),
        binding(None, "a!=b"),
        binding(None, ""),
        with_field(ObjectField::Name, true, "x"),
        with_field(ObjectField::Name, false, "x"),
        with_field(ObjectField::Namespace, true, "x"),
        // What a field asks for must not run over into what the labels do.
        with_field(ObjectField::Name, true, ""),
    ];
    let (group, resource) = ("g.examplet".into(), "hings".into());
    others.push(Binding {
        group,
        resource,
        ..own.clone()
    });
    for (at, other) in others.iter().enumerate() {
        assert!(why(other, &token).contains("another kind, namespace or selector"));
        // And each of them differs from the others.
        let token = other.token(At::Newest, &key("n", "x"));
        for (with, binding) in others.iter().enumerate() {
            let digests_agree = binding.query() == other.query();
            assert_eq!(digests_agree, at == with, "{at} {with}: {token}");
        }
    }
}

#[test]
fn a_token_of_another_history_has_a_place_and_no_version() {
    let own = binding(None, "");
    let before = Binding {
        epoch: [8; 16],
        ..own.clone()
    };
    for at in [At::Version(Version::new(3)), At::Newest] {
        let token = before.token(at, &key("n", "x"));
        assert_eq!(own.read(&token).unwrap(), (At::Lost, key("n", "x")));
    }
}

#[test]
fn a_sound_checksum_does_not_make_a_sound_place() {
    let own = binding(Some("mine"), "");
    let forged = |place: &str| {
        let mut bytes = vec![FORM];
        bytes.extend(9_u64.to_be_bytes());
        bytes.extend(own.line());
        bytes.extend(own.query());
        bytes.extend(place.bytes());
        let check = digest(&[&bytes]);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    };
    assert!(own.read(&forged("mine/x")).is_ok());
    for place in [
        "x",
        "/",
        "mine/",
        "/x",
        "other/x",
        "mine/a/b",
        "mine/..",
        "mine/\0",
        "../mine/x",
        "mine/ä",
    ] {
        assert!(why(&own, &forged(place)).contains("its place"), "{place}");
    }
    assert!(why(&own, &forged("")).contains("too short"));
}

#[test]
fn what_is_wrong_with_a_token_is_said() {
    let own = binding(None, "");
    // Of a length that base64 writes without a rest, so that its quads can be cut off whole.
    let token = own.token(At::Newest, &key("n", "abcdefghij"));
    assert_eq!(token.len() % 4, 0);
    let upstream = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":5,"start":"n/x\u0000"}"#);
    for (text, expected) in [
        ("", "too short"),
        ("AQ", "too short"),
        ("%", "not base64url"),
        ("=", "not base64url"),
        (&format!("{token}="), "not base64url"),
        (&format!("{token}AAAA"), "checksum"),
        (&token[4..], "another form"),
        (&token[..token.len() - 4], "checksum"),
        (&upstream, "another form"),
        ("newe", "another form"),
    ] {
        let said = why(&own, text);
        assert!(said.contains(expected), "{text}: {said}");
    }
}

/// Random texts, and sound tokens with bytes changed, cut, doubled or swapped, before and after
/// the encoding.
#[test]
fn no_bent_token_of_a_million_is_read() {
    const ROUNDS: usize = 250_000;
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut dice = Dice(4);
    let own = binding(None, "app=web");
    let tokens = [key("n", "x"), key("", "node-1"), key("stage", "a.b-c")]
        .map(|last| own.token(At::Version(Version::new(41)), &last));
    let other = own.token(At::Newest, &key("other", "name"));
    let mut refused = 0;
    let mut check = |text: &str| {
        if tokens.iter().any(|token| token == text) || text == other {
            return;
        }
        assert!(own.read(text).is_err(), "{text} was read");
        refused += 1;
    };
    for round in 0..ROUNDS {
        let sound = &tokens[round % tokens.len()];
        let random: String = (0..dice.below(90))
            .map(|_| char::from(ALPHABET[dice.below(ALPHABET.len())]))
            .collect();
        check(&random);
        let mut text = sound.clone().into_bytes();
        bend(&mut text, &mut dice, |dice| {
            ALPHABET[dice.below(ALPHABET.len())]
        });
        check(&String::from_utf8(text).unwrap());
        let mut bytes = URL_SAFE_NO_PAD.decode(sound).unwrap();
        bend(&mut bytes, &mut dice, |dice| {
            u8::try_from(dice.below(256)).unwrap()
        });
        check(&URL_SAFE_NO_PAD.encode(bytes));
        // Two sound tokens, the head of one and the tail of the other.
        let (from, to) = (dice.below(sound.len()), dice.below(other.len()));
        check(&format!("{}{}", &sound[..from], &other[to..]));
    }
    // A change may undo itself, but not often.
    assert!(refused > 4 * ROUNDS - ROUNDS / 20, "{refused}");
}

/// Changes one to three places.
fn bend(text: &mut Vec<u8>, dice: &mut Dice, mut fresh: impl FnMut(&mut Dice) -> u8) {
    for _ in 0..=dice.below(3) {
        if text.is_empty() {
            return;
        }
        let at = dice.below(text.len());
        match dice.below(5) {
            0 => text[at] = fresh(dice),
            1 => text.truncate(at),
            2 => text.insert(at, fresh(dice)),
            3 => drop(text.remove(at)),
            _ => {
                let with = dice.below(text.len());
                text.swap(at, with);
            }
        }
    }
}
