//! The control data beside a buffer of datagrams: the address here that they were sent to, or are
//! to be sent from (ip(7), `IP_PKTINFO`; ipv6(7), `IPV6_PKTINFO`), and the size of each if there
//! are several (udp(7), `UDP_GRO` and `UDP_SEGMENT`).

use super::address::{Reader, Writer, octets};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for the larger address and a size.
pub(super) const ROOM: usize = 64;
/// Bytes of a `struct cmsghdr`: `cmsg_len`, `cmsg_level`, `cmsg_type`.
const HEAD: usize = 16;
const _: () = assert!(size_of::<libc::cmsghdr>() == HEAD && ROOM >= 2 * HEAD + 24 + 8);

/// Control data of one buffer.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control {
    pub(super) bytes: [u8; ROOM],
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; ROOM] }
    }
}

/// The information of the kernel about a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// The address here that its datagrams were sent to.
    pub(super) local: Option<IpAddr>,
    /// The bytes of each datagram, if there are several.
    pub(super) segment: Option<usize>,
}

impl Control {
    /// Says from which address a buffer is sent, and into datagrams of which size it is divided;
    /// returns it with its length.
    pub(super) fn sending(from: Option<IpAddr>, segment: Option<u16>) -> (Self, usize) {
        let mut bytes = [0; ROOM];
        let mut out = Writer(&mut bytes);
        let mut len = 0;
        if let Some(ip) = from {
            let (level, kind, data) = match ip {
                IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, 12),
                IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20),
            };
            head(&mut out, data, level, kind);
            if ip.is_ipv4() {
                // struct in_pktinfo: interface (any), source, destination of the header (unused).
                out.put(&[0; 4]);
            }
            octets(ip, &mut out);
            // The destination or the interface, and what aligns the next header.
            out.put(&[0; 8]);
            len = HEAD + if ip.is_ipv4() { 16 } else { 24 };
        }
        if let Some(segment) = segment {
            head(&mut out, size_of::<u16>(), libc::SOL_UDP, libc::UDP_SEGMENT);
            out.put(&segment.to_ne_bytes());
            len += HEAD + 8;
        }
        (Self { bytes }, len)
    }

    /// Reads what the kernel wrote into so many bytes.
    pub(super) fn read(&self, len: usize) -> Beside {
        let mut rest = self.bytes.get(..len).unwrap_or_default();
        let mut found = Beside::default();
        loop {
            let mut input = Reader(rest);
            let (Some(len), Some(level), Some(kind)) = (
                input.take(),
                input.take().map(i32::from_ne_bytes),
                input.take().map(i32::from_ne_bytes),
            ) else {
                return found;
            };
            let len = usize::from_ne_bytes(len);
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    // Interface, local address, destination of the header: the last one counts.
                    let _interface = input.take::<8>();
                    found.local = input.take::<4>().map(|ip| Ipv4Addr::from(ip).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    found.local = input.take::<16>().map(|ip| Ipv6Addr::from(ip).into());
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = input.take().map(i32::from_ne_bytes);
                    found.segment = size.and_then(|n| usize::try_from(n).ok());
                }
                _ => {}
            }
            let step = len.max(HEAD).checked_next_multiple_of(8).unwrap_or(usize::MAX);
            rest = rest.get(step..).unwrap_or_default();
        }
    }
}

fn head(out: &mut Writer<'_>, data: usize, level: i32, kind: i32) {
    out.put(&(HEAD + data).to_ne_bytes());
    out.put(&level.to_ne_bytes());
    out.put(&kind.to_ne_bytes());
}
