//! The PROXY protocol on connections: what clients' connections begin with (`receive`), and what
//! endpoints are told (`tell`).

mod receive;
mod tell;
#[cfg(test)]
mod tests;

pub(super) use receive::{First, seated};
pub(super) use tell::{common_name, destination};
