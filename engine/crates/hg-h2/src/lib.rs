//! Sans-I/O HTTP/2 (RFC 9113) and HPACK (RFC 7541); pure.
//!
//! Owns what is HTTP/2's own: frames, header compression, the states of streams, flow control, the
//! order of sending (RFC 9218), the budgets that bound what a peer may cost, and the rules of
//! RFC 9113 §8 on messages. Bytes go in and events come out; commands go in and bytes come out.
//! Never touches a socket or a clock (the time is passed in), and does not allocate per frame once
//! its buffers have grown.

mod close;
mod common;
mod decode;
mod encode;
mod event;
mod fault;
mod flood;
mod flow;
mod frame;
mod huffman;
mod huffman_code;
mod integer;
mod limits;
mod message;
mod octets;
mod places;
mod priority;
mod sched;
mod session;
mod settings;
mod static_table;
mod streams;
mod table;
mod text;
mod watch;
mod write;

pub use close::{Close, Code, Reason};
pub use decode::{BlockLimits, Decoder, Size};
pub use encode::{Encoder, Sensitivity};
pub use event::{After, By, Event, Grant, Refused};
pub use fault::faults;
pub use frame::{HEADER_BYTES, Header, Kind};
pub use limits::{Budgets, Limits, Role};
pub use message::{
    Arrival, Asked, Incoming, Message, NeverIndexed, RequestLine, grpc, lines_of, lines_of_text,
};
pub use places::{Place, Places};
pub use priority::Priority;
pub use session::{Line, PREFACE, Session, Waiting};
pub use settings::Settings;
pub use text::{Field, Text};
pub use watch::{Due, Times, Watch};
