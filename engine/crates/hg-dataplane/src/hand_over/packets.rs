//! The messages between the two processes of a hand-over: one JSON object per packet, with the
//! sockets of its flows beside it. Encoding and decoding only.
//!
//! The old one: `flows` (any number of them), `end`. The new one answers: `refused` (any number of
//! them), `taken`. Flows are counted in the order in which they were sent, from 0.

use crate::channel::{PACKET_BYTES, PACKET_FDS};
use hg_engine::ToldFlow;
use serde::{Deserialize, Serialize};

/// Places in one packet: each is at most six digits and a comma.
const PLACES: usize = 8_000;

/// Messages of the process that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum FromOld {
    /// Flows, whose sockets come with it in the same order.
    Flows {
        /// Their descriptions.
        flows: Vec<ToldFlow>,
    },
    /// There are no more flows.
    End,
}

/// Messages of its successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum FromNew {
    /// Flows that have no place in the new process.
    Refused {
        /// Their places.
        flows: Vec<usize>,
    },
    /// All others have one.
    Taken,
}

/// Reads one packet.
///
/// # Errors
/// Returns what is wrong with it.
pub(super) fn decode<'a, T: Deserialize<'a>>(packet: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(packet).map_err(|error| error.to_string())
}

/// Writes one packet.
pub(super) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

/// Returns a packet with the first flows of a list, as many as fit into it, and their number, which
/// is 0 only of an empty list or of one whose first flow fits into no packet.
pub(super) fn pack<'a>(flows: impl Iterator<Item = &'a ToldFlow>) -> (Vec<u8>, usize) {
    let mut packet = br#"{"op":"flows","flows":["#.to_vec();
    let mut count = 0;
    for flow in flows.take(PACKET_FDS) {
        let text = encode(flow);
        if packet.len() + text.len() + 3 > PACKET_BYTES {
            break;
        }
        if count > 0 {
            packet.push(b',');
        }
        packet.extend(text);
        count += 1;
    }
    packet.extend(b"]}");
    (packet, count)
}

/// Returns the answer to `end`, in packets.
pub(super) fn answer(refused: &[usize]) -> Vec<Vec<u8>> {
    let some = refused.chunks(PLACES).map(|some| FromNew::Refused { flows: some.to_vec() });
    some.chain([FromNew::Taken]).map(|message| encode(&message)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hg_engine::{Said, Traffic};
    use proptest::prelude::*;

    pub(in super::super) fn flow(client: u16, route: &str) -> ToldFlow {
        ToldFlow {
            address: ([127, 0, 0, 1], 53).into(),
            socket: 0,
            client: ([127, 0, 0, 1], client).into(),
            local: None,
            route: route.into(),
            upstream: "u".into(),
            said: Said::default(),
            endpoint: "10.0.0.1:53".into(),
            traffic: Traffic::default(),
            age_us: 9,
            quiet_us: u64::from(client),
            is_answered: false,
        }
    }

    #[test]
    fn a_flow_that_fits_into_no_packet_is_not_sent() {
        let long = "x".repeat(PACKET_BYTES);
        assert_eq!(pack([flow(1, &long), flow(2, "r")].iter()).1, 0);
        assert_eq!(pack([flow(1, "r"), flow(2, &long)].iter()).1, 1);
        assert_eq!(pack(std::iter::empty()).1, 0);
    }

    #[test]
    fn an_answer_ends_with_what_all_others_are() {
        assert_eq!(answer(&[]), [br#"{"op":"taken"}"#]);
        let packets = answer(&(0..PLACES + 1).map(|at| 900_000 + at).collect::<Vec<_>>());
        assert_eq!(packets.len(), 3);
        assert!(packets.iter().all(|packet| packet.len() <= PACKET_BYTES));
        let last = FromNew::Refused { flows: vec![900_000 + PLACES] };
        assert_eq!(decode::<FromNew>(&packets[1]).unwrap(), last);
    }

    proptest! {
        #[test]
        fn packets_hold_every_flow_once_and_in_order(
            lengths in prop::collection::vec(0usize..3_000, 0..300),
        ) {
            let all: Vec<ToldFlow> = lengths
                .iter()
                .enumerate()
                .map(|(i, n)| flow(u16::try_from(i).unwrap(), &"\"".repeat(*n)))
                .collect();
            let (mut read, mut at) = (Vec::new(), 0);
            while at < all.len() {
                let (packet, count) = pack(all[at..].iter());
                prop_assert!(count > 0 && count <= PACKET_FDS && packet.len() <= PACKET_BYTES);
                match decode(&packet).unwrap() {
                    FromOld::Flows { flows } => {
                        prop_assert_eq!(flows.len(), count);
                        read.extend(flows);
                    }
                    FromOld::End => prop_assert!(false),
                }
                at += count;
            }
            prop_assert_eq!(read, all);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (decode::<FromOld>(&bytes).is_ok(), decode::<FromNew>(&bytes).is_ok());
        }
    }
}
