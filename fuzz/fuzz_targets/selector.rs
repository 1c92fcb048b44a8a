//! The label selector: no text may panic or hang, and a selector shown as text reads back as
//! itself and chooses the same.
#![no_main]

use annals::LabelSelector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Ok(selector) = data.parse::<LabelSelector>() else { return };
    let again: LabelSelector = selector.to_string().parse().expect("what is shown can be read");
    assert_eq!(again, selector);
    for value in [None, Some(""), Some("a"), Some("3")] {
        assert_eq!(selector.matches(|_| value), again.matches(|_| value));
    }
});
