//! Clients and endpoints that speak HTTP/2. They write and read frames with code of their own, so that
//! a fault of `hg-h2` is not on both sides.

mod away;
mod client;
mod endpoint;
mod fields;
mod frame;
mod hear;
mod link;
mod request;
mod settings;
mod stream;
mod ways;
mod wire;

pub(crate) use client::Client;
pub(crate) use endpoint::Session;
pub(crate) use fields::Fields;
pub(crate) use frame::PREFACE;
pub(crate) use ways::Ways;
