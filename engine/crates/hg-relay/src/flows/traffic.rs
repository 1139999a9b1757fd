//! The traffic that has passed in a flow.

use serde::{Deserialize, Serialize};

/// Datagrams and bytes each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Datagrams of the client that were sent on.
    pub datagrams_in: u64,
    /// Datagrams of the endpoint.
    pub datagrams_out: u64,
    /// Bytes of the former; a datagram may have none.
    pub bytes_in: u64,
    /// Bytes of the latter.
    pub bytes_out: u64,
}

impl Traffic {
    /// Notes a datagram of the client.
    pub fn from_client(&mut self, bytes: usize) {
        self.datagrams_in += 1;
        self.bytes_in += bytes as u64;
    }

    /// Notes a datagram of the endpoint.
    pub fn from_endpoint(&mut self, bytes: usize) {
        self.datagrams_out += 1;
        self.bytes_out += bytes as u64;
    }

    /// Reports whether each datagram of the client has had so many answers; a flow that waits for
    /// no certain number never is. A resolver may ask twice from one port before the first answer
    /// comes, so that one answer does not end the flow then.
    pub fn is_answered(&self, answers: Option<u32>) -> bool {
        answers
            .is_some_and(|n| self.datagrams_out >= self.datagrams_in.saturating_mul(u64::from(n)))
    }
}
