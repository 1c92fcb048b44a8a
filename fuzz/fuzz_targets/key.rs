//! The key codec: whatever decodes must encode to the same text, keep its parts, and be found by
//! the collections it is in.
#![no_main]

use annals::{Collection, Key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Ok(key) = Key::decode(data) else { return };
    assert_eq!(key.encoded(), data);
    let again = Key::new(key.group(), key.resource(), key.namespace(), key.name());
    assert_eq!(again.as_ref(), Ok(&key));
    assert!(key.collection().contains(&key));
    let resource = Collection::of(key.group(), key.resource()).expect("the parts are legal");
    assert!(resource.contains(&key));
});
