//! Socket addresses as the kernel writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for an address of either family: `struct sockaddr_in6` is the larger one.
pub(super) const ROOM: usize = 28;

/// An address as the kernel reads and writes it: family in the machine's order, port in the
/// network's.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Name {
    pub(super) bytes: [u8; ROOM],
}

impl Default for Name {
    fn default() -> Self {
        Self { bytes: [0; ROOM] }
    }
}

fn family(word: libc::c_int) -> [u8; 2] {
    u16::try_from(word).unwrap_or(0).to_ne_bytes()
}

impl Name {
    /// Writes an address; returns it with its length.
    pub(super) fn of(address: SocketAddr) -> (Self, usize) {
        let mut bytes = [0; ROOM];
        let mut out = Writer(&mut bytes);
        let len = match address {
            SocketAddr::V4(a) => {
                out.put(&family(libc::AF_INET));
                out.put(&a.port().to_be_bytes());
                out.put(&a.ip().octets());
                16
            }
            SocketAddr::V6(a) => {
                out.put(&family(libc::AF_INET6));
                out.put(&a.port().to_be_bytes());
                out.put(&a.flowinfo().to_ne_bytes());
                out.put(&a.ip().octets());
                out.put(&a.scope_id().to_ne_bytes());
                ROOM
            }
        };
        (Self { bytes }, len)
    }

    /// Reads an address; `None` if it is of another family, or none.
    pub(super) fn read(&self) -> Option<SocketAddr> {
        let mut input = Reader(&self.bytes);
        let kind = input.take::<2>()?;
        let port = u16::from_be_bytes(input.take()?);
        if kind == family(libc::AF_INET) {
            return Some((Ipv4Addr::from(input.take::<4>()?), port).into());
        }
        if kind != family(libc::AF_INET6) {
            return None;
        }
        let flow = u32::from_ne_bytes(input.take()?);
        let ip = Ipv6Addr::from(input.take::<16>()?);
        let scope = u32::from_ne_bytes(input.take()?);
        Some(SocketAddrV6::new(ip, port, flow, scope).into())
    }
}

/// Takes parts off the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*part)
    }
}

/// Puts parts one after the other, as long as there is room.
pub(super) struct Writer<'a>(pub(super) &'a mut [u8]);

impl Writer<'_> {
    pub(super) fn put(&mut self, part: &[u8]) {
        let room = std::mem::take(&mut self.0);
        if let Some((here, rest)) = room.split_at_mut_checked(part.len()) {
            here.copy_from_slice(part);
            self.0 = rest;
        }
    }
}

/// Returns the octets of an address that belong to its family.
pub(super) fn octets(ip: IpAddr, out: &mut Writer<'_>) {
    match ip {
        IpAddr::V4(ip) => out.put(&ip.octets()),
        IpAddr::V6(ip) => out.put(&ip.octets()),
    }
}
