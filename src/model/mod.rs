//! The nouns every stage shares, one file each. A type here keeps its own invariants and nothing more: no
//! wire format is parsed and no judgement made in this folder, and it imports nothing else of the crate.

mod app;
mod coverage;
mod data_flow;
mod data_type;
mod declaration;
mod exchange;
mod field;
mod finding;
mod flow;
mod frame;
mod identifier;
mod kinds;
mod mark;
mod name;
mod observation;
mod packet;
mod party;
mod report;
mod time;
mod tls_info;
mod verdict;
mod weird;

pub use app::*;
pub use coverage::*;
pub use data_flow::*;
pub use data_type::*;
pub use declaration::*;
pub use exchange::*;
pub use field::*;
pub use finding::*;
pub use flow::*;
pub use frame::*;
pub use identifier::*;
pub use kinds::*;
pub use mark::*;
pub use name::*;
pub use observation::*;
pub use packet::*;
pub use party::*;
pub use report::*;
pub use time::*;
pub use tls_info::*;
pub use verdict::*;
pub use weird::*;
