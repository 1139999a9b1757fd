//! The messages between supervisor and data plane: one JSON object per packet, with descriptors
//! beside it. Encoding and decoding only; [`crate::link`] carries them.

use serde::{Deserialize, Serialize};

/// Most bytes of one packet.
pub const PACKET_BYTES: usize = 64 * 1024;

/// Most descriptors beside one packet (the kernel's limit is 253).
pub const PACKET_FDS: usize = 200;

/// Messages of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum FromSupervisor {
    /// The first packet: the identity and settings of this process.
    Start(Start),
    /// Listening sockets of one address; `count` descriptors come with it.
    Sockets {
        /// The address, as in the plan.
        address: String,
        /// The number of descriptors.
        count: usize,
    },
    /// The address is no longer in the plan: stop accepting, empty the queue, close.
    Close {
        /// The address, as in the plan.
        address: String,
    },
    /// A successor owns the sockets now. The descriptor that may come with it leads to the successor,
    /// for UDP flows.
    Handoff,
    /// The predecessor gives its UDP flows away now, over the descriptor that comes with it; without
    /// one there are none to come.
    TakeFlows,
    /// Drain: stop accepting, finish what is in flight, then leave.
    Drain,
    /// Exit at once.
    Quit,
    /// Reopen access log files.
    ReopenLogs,
    /// Answer [`ToSupervisor::Alive`] once every worker has completed a turn of its loop.
    Probe,
    /// Session ticket secrets (hex, 32 bytes each) from now on, the current one first.
    Tickets {
        /// The secrets; never empty.
        ticket_secrets: Vec<String>,
    },
}

/// The identity and settings of a data-plane process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Start {
    /// Counts data-plane processes of this node.
    pub generation: u64,
    /// Directory of the last good plan.
    pub state_dir: String,
    /// Unix socket of the gRPC server.
    pub grpc_socket: String,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// CPUs to pin workers to, by index; empty = not pinned.
    #[serde(default)]
    pub cpus: Vec<usize>,
    /// Session ticket secrets in hex (32 bytes each), the current one first.
    #[serde(default)]
    pub ticket_secrets: Vec<String>,
    /// True if nothing of UDP clients is read before [`FromSupervisor::TakeFlows`].
    #[serde(default)]
    pub awaits_flows: bool,
}

/// Messages of the data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ToSupervisor {
    /// The gRPC socket is open and the workers serve the last good plan, if there is one.
    Ready {
        /// The id of this process.
        pid: u32,
        /// Root digest of the served plan, hex.
        plan_digest: String,
        /// True if this process answers [`FromSupervisor::Probe`]; the supervisor does not probe it
        /// otherwise.
        answers_probes: bool,
        /// True if this process gives UDP flows to a successor, and takes those of a predecessor.
        moves_flows: bool,
        /// True if nothing is served because the last good plan cannot be used; a predecessor that
        /// serves one had better stay.
        lost_plan: bool,
        /// True if it serves nothing, for whatever reason: there may be no last good plan.
        is_empty: bool,
    },
    /// The answer to a probe.
    Alive,
    /// The workers have the sockets.
    SocketsOk {
        /// The address, as in the plan.
        address: String,
    },
    /// The sockets could not be used.
    SocketsFailed {
        /// The address, as in the plan.
        address: String,
        /// The reason.
        error: String,
    },
    /// The address is closed.
    Closed {
        /// The address, as in the plan.
        address: String,
    },
    /// The process has begun to leave.
    Draining,
    /// A worker was lost and replaced.
    WorkerLost {
        /// Its index.
        index: usize,
    },
}

/// Reads one packet.
///
/// # Errors
/// Returns what is wrong with it.
pub fn decode(packet: &[u8]) -> Result<FromSupervisor, String> {
    serde_json::from_slice(packet).map_err(|error| error.to_string())
}

/// Writes one packet.
pub fn encode(message: &ToSupervisor) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_packet_says_who_we_are() {
        let packet = br#"{"op":"start","generation":3,"state_dir":"/x","grpc_socket":"/x/dp-3.sock",
            "workers":2,"cpus":[0,1],"ticket_secrets":["0000000000000000000000000000000000000000000000000000000000000001"],"ticket_epoch":7}"#;
        let Ok(FromSupervisor::Start(start)) = decode(packet) else { panic!("not a start") };
        assert_eq!((start.generation, start.workers, start.awaits_flows), (3, 2, false));
        assert_eq!(start.cpus, [0, 1]);
        assert_eq!(start.ticket_secrets.len(), 1);
    }

    #[test]
    fn each_short_packet_is_its_word() {
        let sockets = decode(br#"{"op":"sockets","address":"127.0.0.1:80","count":2}"#).unwrap();
        assert_eq!(sockets, FromSupervisor::Sockets { address: "127.0.0.1:80".into(), count: 2 });
        let close = decode(br#"{"op":"close","address":"[::1]:80"}"#).unwrap();
        assert_eq!(close, FromSupervisor::Close { address: "[::1]:80".into() });
        assert_eq!(decode(br#"{"op":"handoff"}"#).unwrap(), FromSupervisor::Handoff);
        let take_flows = decode(br#"{"op":"take_flows"}"#).unwrap();
        assert_eq!(take_flows, FromSupervisor::TakeFlows);
        assert_eq!(decode(br#"{"op":"drain"}"#).unwrap(), FromSupervisor::Drain);
        assert_eq!(decode(br#"{"op":"quit"}"#).unwrap(), FromSupervisor::Quit);
        assert_eq!(decode(br#"{"op":"probe"}"#).unwrap(), FromSupervisor::Probe);
        assert_eq!(decode(br#"{"op":"reopen_logs"}"#).unwrap(), FromSupervisor::ReopenLogs);
        let tickets = br#"{"op":"tickets","ticket_secrets":["ab","cd"],"ticket_epoch":9}"#;
        let ticket_secrets = vec!["ab".into(), "cd".into()];
        assert_eq!(decode(tickets).unwrap(), FromSupervisor::Tickets { ticket_secrets });
        assert!(decode(br#"{"op":"dance"}"#).is_err());
        assert!(decode(b"").is_err());
    }

    #[test]
    fn answers_are_one_object_with_their_word() {
        let text = |m| String::from_utf8(encode(&m)).unwrap();
        assert_eq!(
            text(ToSupervisor::Ready {
                pid: 5,
                plan_digest: "ab".into(),
                answers_probes: true,
                moves_flows: true,
                lost_plan: false,
                is_empty: true
            }),
            r#"{"op":"ready","pid":5,"plan_digest":"ab","answers_probes":true,"moves_flows":true,"lost_plan":false,"is_empty":true}"#
        );
        assert_eq!(text(ToSupervisor::Alive), r#"{"op":"alive"}"#);
        assert_eq!(
            text(ToSupervisor::SocketsOk { address: "a:1".into() }),
            r#"{"op":"sockets_ok","address":"a:1"}"#
        );
        assert_eq!(text(ToSupervisor::Draining), r#"{"op":"draining"}"#);
        assert_eq!(
            text(ToSupervisor::WorkerLost { index: 1 }),
            r#"{"op":"worker_lost","index":1}"#
        );
    }
}
