//! Sans-I/O HTTP/1: head parsing, framing, chunked bodies, head writing; and the heads of every
//! version; pure.
//!
//! Owns every decision on HTTP/1 syntax and framing (RFC 9110, 9112): what is accepted, how long a
//! body is, which fields belong to one hop. Never touches a socket, a clock or a file, and does not
//! allocate on the path of a well-formed request: heads borrow from the caller's buffer, and
//! writers append to the caller's buffer.

mod admission;
mod body;
mod chunked;
pub mod client;
mod connection;
mod fields;
mod framing;
pub mod host;
mod known;
mod reject;
mod request;
pub mod respond;
mod response;
mod retry_after;
mod syntax;
mod target;
mod trickle;
mod types;
pub mod websocket;
pub mod write;

pub use admission::{Admission, Withheld};
pub use body::{BodyReader, Fed};
pub use chunked::{ChunkedDecoder, Decoded, MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES, MAX_TRAILERS};
pub use connection::{Connection, is_token};
pub use fields::{Field, Fields, HeaderSlots, Lines, MAX_HEADERS, Tag};
pub use host::host_key;
pub use known::{Known, is_hop_by_hop, name_slot};
pub use reject::{Reject, rejects};
pub use request::{RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};
pub use retry_after::retry_after;
pub use syntax::{glance, names_http};
pub use target::{Scheme, Target};
pub use trickle::is_worth_parsing;
pub use types::{Framing, Limits, METHOD_NAMES, Method, Parse, RespFraming, Version};
