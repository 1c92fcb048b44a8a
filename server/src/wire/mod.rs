//! The wire: what clients send and what they are sent, as pure functions over bytes and values.
