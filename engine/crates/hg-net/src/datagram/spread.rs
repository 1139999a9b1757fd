//! The choice of the socket, of those of one address, that gets a datagram: it follows from its
//! sender alone. The kernel computes it by a program (socket(7), `SO_ATTACH_REUSEPORT_CBPF`), and
//! [`Spread::owner`] does the same, so that all workers know where the flow of a sender belongs.

use crate::filter::{self, instruction};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// Offsets from here on count from the header of IP (linux/filter.h, `SKF_NET_OFF`).
const IP: u32 = 0xfff0_0000;
/// The offset of the sender in the header of IPv4, and in that of IPv6; UDP follows the latter.
const SENDER_V4: u32 = 12;
const SENDER_V6: u32 = 8;
const IPV6_BYTES: u32 = 40;

/// Odd numbers whose bits look random: those of MurmurHash3 (public domain).
const MIX: [u32; 3] = [0xcc9e_2d51, 0x85eb_ca6b, 0xc2b2_ae35];

// Instructions of classic BPF.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF_AT_X: u16 = 0x48;
const LOAD_BYTE: u16 = 0x30;
const LOAD_NUMBER: u16 = 0x00;
const LOAD_X_KEPT: u16 = 0x61;
const KEEP: u16 = 0x02;
const LOAD_X_NUMBER: u16 = 0x01;
const TO_X: u16 = 0x07;
const XOR_X: u16 = 0xac;
const MULTIPLY: u16 = 0x24;
const AND: u16 = 0x54;
const SHIFT_LEFT: u16 = 0x64;
const SHIFT_RIGHT: u16 = 0x74;
const MODULO: u16 = 0x94;
const GIVE: u16 = 0x16;

/// The distribution of datagrams over the sockets of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// So that nobody can choose addresses which all go to one socket.
    seed: u32,
    sockets: u32,
}

impl Spread {
    /// Spreads datagrams over so many sockets.
    pub fn new(seed: u64, sockets: usize) -> Self {
        let seed = (seed ^ (seed >> 32)) as u32;
        Self { seed, sockets: u32::try_from(sockets).unwrap_or(u32::MAX).max(1) }
    }

    /// Returns the index of the socket that gets what an address and port sends.
    pub fn owner(&self, sender: SocketAddr) -> usize {
        let add = |hash: u32, word: u32| (hash ^ word).wrapping_mul(MIX[0]);
        let hash = match sender.ip() {
            IpAddr::V4(ip) => add(self.seed, ip.to_bits()),
            IpAddr::V6(ip) => {
                let words = [96, 64, 32, 0].map(|shift| (ip.to_bits() >> shift) as u32);
                words.into_iter().fold(self.seed, add)
            }
        };
        let hash = add(hash, u32::from(sender.port()));
        let hash = (hash ^ (hash >> 16)).wrapping_mul(MIX[1]);
        let hash = (hash ^ (hash >> 13)).wrapping_mul(MIX[2]);
        ((hash ^ (hash >> 16)) % self.sockets) as usize
    }

    fn program(&self, is_v6: bool) -> Vec<libc::sock_filter> {
        let (sender, words) = if is_v6 { (SENDER_V6, 4) } else { (SENDER_V4, 1) };
        // A place of memory keeps the hash between two words.
        let mut code = vec![(LOAD_NUMBER, self.seed), (KEEP, 0)];
        let add = [(LOAD_X_KEPT, 0), (XOR_X, 0), (MULTIPLY, MIX[0]), (KEEP, 0)];
        for word in 0..words {
            code.push((LOAD_WORD, IP.wrapping_add(sender + 4 * word)));
            code.extend(add);
        }
        // The sender's port is the first field of UDP.
        if is_v6 {
            code.push((LOAD_X_NUMBER, IPV6_BYTES));
        } else {
            code.extend([(LOAD_BYTE, IP), (AND, 0xf), (SHIFT_LEFT, 2), (TO_X, 0)]);
        }
        code.push((LOAD_HALF_AT_X, IP));
        code.extend(add);
        for (shift, factor) in [(16, MIX[1]), (13, MIX[2])] {
            code.extend([(TO_X, 0), (SHIFT_RIGHT, shift), (XOR_X, 0), (MULTIPLY, factor)]);
        }
        code.extend([(TO_X, 0), (SHIFT_RIGHT, 16), (XOR_X, 0)]);
        code.extend([(MODULO, self.sockets), (GIVE, 0)]);
        code.into_iter().map(|(code, k)| instruction(code, k)).collect()
    }
}

/// Has the kernel spread datagrams so from the next one on, over all sockets that share the address
/// with this one, in the order in which they were bound. More sockets get none until it is told again.
///
/// # Errors
/// Errors of `setsockopt`: EINVAL if the socket shares no address.
pub fn spread_datagrams(socket: impl AsFd, spread: &Spread, is_v6: bool) -> io::Result<()> {
    filter::attach(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &mut spread.program(is_v6))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    use std::net::UdpSocket;

    fn group(address: &str, count: usize) -> Vec<UdpSocket> {
        let mut address: SocketAddr = address.parse().unwrap();
        let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let one = |_| {
            let fd = socket(family, SocketType::DGRAM, None).unwrap();
            sockopt::set_socket_reuseport(&fd, true).unwrap();
            bind(&fd, &address).unwrap();
            let one = UdpSocket::from(fd);
            one.set_nonblocking(true).unwrap();
            address = one.local_addr().unwrap();
            one
        };
        (0..count).map(one).collect()
    }

    /// Returns the places of sockets that have a datagram, once there is one, and takes it.
    fn got(group: &[UdpSocket]) -> Vec<usize> {
        let mut all: Vec<PollFd<'_>> =
            group.iter().map(|one| PollFd::new(one, PollFlags::IN)).collect();
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert!(poll(&mut all, Some(&limit)).unwrap() > 0, "nothing came");
        let has_one = |i: &usize| group[*i].recv(&mut [0; 8]).is_ok();
        (0..group.len()).filter(has_one).collect()
    }

    #[test]
    fn the_kernel_gives_each_datagram_to_its_owner() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let mut sockets = group(address, 2);
            let to = sockets[0].local_addr().unwrap();
            let clients: Vec<UdpSocket> =
                (0..40).map(|_| UdpSocket::bind(SocketAddr::new(to.ip(), 0)).unwrap()).collect();
            let mut seen = [0; 5];
            for count in [2, 3, 5] {
                let spread = Spread::new(0x1234_5678_9abc_def0, count);
                // Sockets that come change nothing until the kernel is told.
                let before = Spread::new(0x1234_5678_9abc_def0, sockets.len());
                let more = group(&to.to_string(), count - sockets.len());
                sockets.extend(more);
                let rules = if count == 2 { vec![spread] } else { vec![before, spread] };
                for rule in rules {
                    if rule == spread {
                        spread_datagrams(&sockets[0], &rule, to.is_ipv6()).unwrap();
                    }
                    for client in &clients {
                        client.send_to(b"a", to).unwrap();
                        let owner = rule.owner(client.local_addr().unwrap());
                        assert_eq!(got(&sockets), [owner]);
                        seen[owner] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
        }
    }

    #[test]
    fn senders_are_spread_evenly_and_by_the_seed() {
        let (one, other) = (Spread::new(1, 4), Spread::new(2, 4));
        let mut counts = [0; 4];
        let mut moved = 0;
        for i in 0..4_000_u32 {
            let ip = IpAddr::from((0x0a00_0000 + i / 10).to_be_bytes());
            let sender = SocketAddr::new(ip, 40_000 + (i % 10) as u16);
            counts[one.owner(sender)] += 1;
            moved += usize::from(one.owner(sender) != other.owner(sender));
        }
        assert!(counts.iter().all(|n| (850..1_150).contains(n)), "{counts:?}");
        assert!((2_800..3_200).contains(&moved), "{moved}");
        assert_eq!(Spread::new(1, 0).owner(([10, 0, 0, 1], 9).into()), 0);
    }

    #[test]
    fn a_socket_that_shares_no_address_takes_none() {
        let alone = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(spread_datagrams(&alone, &Spread::new(1, 2), false).is_err());
    }
}
