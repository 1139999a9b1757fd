//! The place of a listening socket: an address and port of TCP or of UDP, which do not meet.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The suffix of the place of a UDP socket, as the supervisor writes it.
const OF_UDP: &str = "/udp";

/// The place of a listening socket: `127.0.0.1:80`, or `127.0.0.1:53/udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) is_udp: bool,
}

impl FromStr for Place {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_udp = text.strip_suffix(OF_UDP);
        Ok(Self { address: of_udp.unwrap_or(text).parse()?, is_udp: of_udp.is_some() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.is_udp { f.write_str(OF_UDP) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_has_a_place_of_tcp_and_one_of_udp() {
        let [tcp, udp] = ["[::1]:53", "[::1]:53/udp"].map(|text| text.parse::<Place>().unwrap());
        assert_eq!((tcp.address, tcp.is_udp, udp.is_udp), (udp.address, false, true));
        assert_ne!(tcp, udp);
        assert_eq!((&*tcp.to_string(), &*udp.to_string()), ("[::1]:53", "[::1]:53/udp"));
        assert!("[::1]:53/tcp".parse::<Place>().is_err());
    }
}
