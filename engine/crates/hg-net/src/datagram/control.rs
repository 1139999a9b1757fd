//! What stands beside a datagram: the address here that it was sent to, or is to be sent from
//! (ip(7), `IP_PKTINFO`; ipv6(7), `IPV6_PKTINFO`).

use super::address::{Reader, Writer, octets};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for one `struct cmsghdr` with the larger of the two.
pub(super) const ROOM: usize = 64;
/// Bytes of a `struct cmsghdr`: `cmsg_len`, `cmsg_level`, `cmsg_type`.
const HEAD: usize = 16;
const _: () = assert!(size_of::<libc::cmsghdr>() == HEAD && ROOM >= HEAD + 24);

/// Control data of one datagram.
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

impl Control {
    /// Says from which address a datagram is sent; returns it with its length.
    pub(super) fn sending_from(ip: IpAddr) -> (Self, usize) {
        let (level, kind, data) = match ip {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, 12),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20),
        };
        let mut bytes = [0; ROOM];
        let mut out = Writer(&mut bytes);
        out.put(&(HEAD + data).to_ne_bytes());
        out.put(&level.to_ne_bytes());
        out.put(&kind.to_ne_bytes());
        if ip.is_ipv4() {
            // struct in_pktinfo: interface (any), source, destination of the header (unused).
            out.put(&[0; 4]);
        }
        octets(ip, &mut out);
        (Self { bytes }, HEAD + data.next_multiple_of(8))
    }

    /// Returns the address that a datagram was sent to, from so many bytes that the kernel wrote.
    pub(super) fn received_at(&self, len: usize) -> Option<IpAddr> {
        let mut input = Reader(self.bytes.get(..len)?);
        let _len = input.take::<8>()?;
        let level = i32::from_ne_bytes(input.take()?);
        let kind = i32::from_ne_bytes(input.take()?);
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // Interface, local address, destination of the header: the last one counts.
                let _interface = input.take::<8>()?;
                Some(Ipv4Addr::from(input.take::<4>()?).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                Some(Ipv6Addr::from(input.take::<16>()?).into())
            }
            _ => None,
        }
    }
}
