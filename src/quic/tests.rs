//! Test vectors of the standards and dialogues with real keys.
