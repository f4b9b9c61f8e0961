//! What the tests stand on: the real binary in a world of its own, a service it talks to, and eyes that find secrets.

pub mod tree;
