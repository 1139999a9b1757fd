//! Content codings (RFC 9110 §8.4.1): which one a client takes, and the bytes of it; pure.
//!
//! Owns the reading of `Accept-Encoding`, the streaming encoders of `gzip`, `br` and `zstd`, and
//! the decoders of these and of `deflate`, which stop at a limit. Never reads a socket, a clock or a file.
//!
//! Whatever comes in is bounded: an `Accept-Encoding` by [`accept::MOST_MEMBERS`], the memory of an
//! encoder by its window of at most 256 KiB, that of a decoder by the largest window that a client
//! has to support, and what a decoder gives by [`Bound`].

pub mod accept;
mod br;
mod coding;
mod decoder;
mod encoder;
mod gzip;
mod layers;
mod pool;
mod zst;

pub use accept::Accept;
pub use coding::{Coding, Readable};
pub use decoder::{Bound, Decoder, Fault, Fed};
pub use encoder::{Encoder, Levels};
pub use layers::{Layers, MOST_LAYERS};
pub use pool::{Leased, Pool};
