//! Packets → conversations: which flow and direction a packet belongs to ([`FlowTable`]) and, for TCP, the bytes of
//! each direction in order with their gaps ([`TcpStream`]), and of both in an order that can have been
//! ([`Conversation`]). Looks at no content.

mod conversation;
mod table;
mod tcp;

pub use conversation::{Conversation, Sink};
pub use table::{FLOWS_MAX, FlowTable, Seen};
pub use tcp::{Delivery, PENDING_MAX, Segment, TcpStream};
