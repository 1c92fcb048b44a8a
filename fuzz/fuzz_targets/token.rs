//! The continue token of a list: no text may panic, and what is read as a token is spelled so and
//! no other way.
//!
//! The file of the server is taken as it is, with the little that it needs around it, so that the
//! fuzzer does not build the server.
#![no_main]
#![allow(missing_docs, dead_code, reason = "a part of another crate")]

#[path = "../../server/src/api/token.rs"]
mod token;

mod wire {
    pub(crate) mod status {
        #[derive(Debug)]
        pub(crate) struct Status(pub(crate) String);

        impl Status {
            pub(crate) fn bad_request(message: String) -> Self {
                Status(message)
            }
        }
    }
}

use annals::{Filter, Key, Version};
use libfuzzer_sys::fuzz_target;
use token::{At, Binding};

const EPOCH: [u8; 16] = [7; 16];

fn binding(namespace: Option<&str>, labels: &str) -> Binding {
    Binding {
        epoch: EPOCH,
        group: "g.x".to_owned(),
        resource: "things".to_owned(),
        namespace: namespace.map(str::to_owned),
        filter: Filter {
            labels: labels.parse().expect("a selector"),
            ..Filter::default()
        },
    }
}

fuzz_target!(|data: &[u8]| {
    let own = binding(Some("ns"), "tier=gold");
    let other = binding(None, "");
    let text = String::from_utf8_lossy(data);
    // Noise behind a whole token, and noise alone.
    let last = Key::new("g.x", "things", "ns", "n1").expect("a key");
    let whole = own.token(At::Version(Version::new(5)), &last);
    let cut = usize::from(data.first().copied().unwrap_or(0)) % (whole.len() + 1);
    for token in [text.clone().into_owned(), format!("{}{text}", &whole[..cut])] {
        for list in [&own, &other] {
            match list.read(&token) {
                Ok((At::Lost, key)) => assert_eq!(key.group(), "g.x"),
                Ok((at, key)) => assert_eq!(list.token(at, &key), token),
                Err(status) => assert!(status.0.starts_with("continue key is not valid: ")),
            }
        }
    }
});
