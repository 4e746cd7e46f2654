//! A privacy policy as text → what it declares: documents (a page may hold several dated versions), sections,
//! statements with clause, span and evidence, denials, and the text's own ontology. Chinese and English, prose and SDK
//! tables, offline and deterministic. Judging traffic against it is `audit`'s work; reading files is the caller's.

mod clause;
mod decode;
mod defects;
mod document;
mod enumeration;

mod hand;
mod json;
mod layout;
mod lexicon;
mod predicate;
mod prose;
mod read;
mod rows;
mod sentence;
mod statement;
mod table;
mod text;
mod vocabulary;

pub use decode::{POLICY_BYTES_MAX, PolicyError, decode};
pub use hand::{from_toml, to_toml};
pub use json::{SCHEMA, to_json};
pub use read::{Reader, pick, read};
