//! The plan as the core sees it: every object of a resolved config, decoded from its canonical
//! bytes and verified by digest. Owns the types, the digest tree and delta application; never
//! touches a socket, a clock or a file.
//!
//! Canonical form `hg1`: an object is one JSON document with sorted keys, no white space, UTF-8,
//! integers only, and every field that equals its default left out. Its digest is
//! `sha256("hg1\0" kind "\0" name "\0" bytes)`. Objects fall into 256 buckets by the first byte of
//! `sha256(kind "\0" name)`; a bucket's digest is the sha256 of its objects' digests in the order
//! of (kind, name), an empty bucket's is 32 zero bytes; the root is
//! `sha256("hg1-root\0" bucket0 … bucket255)`.

mod digest;
mod objects;
mod store;

pub use digest::{Digest, DigestTree, bucket, object_digest};
pub use objects::*;
pub use store::{Change, Object, ObjectError, ObjectKey, Plan, Undo};
