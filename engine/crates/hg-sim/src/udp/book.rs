//! The record of what clients and endpoints have sent and got, datagram by datagram.

use crate::body::{Way, content};
use crate::ledger::wrong;
use hg_net::Datagram;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// Bytes before the content: whose datagram it is, which of them, and which answer to it.
const HEAD: usize = 12;

/// Names a datagram: its client, its number, and for an answer how many came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) client: u32,
    pub(crate) number: u32,
    pub(crate) answer: u32,
}

impl Name {
    /// Returns its bytes, of which `len` are content.
    pub(crate) fn bytes(self, way: Way, len: usize) -> Vec<u8> {
        let words = [self.client, self.number, self.answer];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend(content(self.salt(), way, len));
        bytes
    }

    fn salt(self) -> usize {
        let words = [self.client as usize, self.number as usize, self.answer as usize];
        words.iter().fold(7, |salt, word| salt * 1009 + word)
    }

    /// Reads what has come; nothing if it is not exactly what somebody sent.
    fn read(way: Way, bytes: &[u8]) -> Option<Self> {
        let [client, number, answer] = *bytes.get(..HEAD)?.as_chunks::<4>().0 else { return None };
        let [client, number, answer] = [client, number, answer].map(u32::from_be_bytes);
        let name = Self { client, number, answer };
        (name.bytes(way, bytes.len() - HEAD) == bytes).then_some(name)
    }
}

/// The fate of one datagram of a client.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    len: usize,
    arrived: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) calm: bool,
    /// Most sockets that the worker may have open.
    pub(crate) most_open: usize,
    /// The address of each client.
    pub(crate) clients: Vec<SocketAddr>,
    sent: BTreeMap<(u32, u32), Fate>,
    /// Answers, and whether they have come.
    answers: BTreeMap<Name, (usize, bool)>,
    /// The client whose datagrams come from each of the worker's sockets.
    flows: BTreeMap<SocketAddr, u32>,
}

impl Book {
    pub(crate) fn new(calm: bool, most_open: usize, clients: Vec<SocketAddr>) -> Self {
        Self { calm, most_open, clients, ..Self::default() }
    }

    /// Notes that a client sends a datagram.
    pub(crate) fn sent(&mut self, name: Name, len: usize) {
        self.sent.insert((name.client, name.number), Fate { len, arrived: false });
    }

    /// Notes what an endpoint answers.
    pub(crate) fn answered(&mut self, name: Name, len: usize) {
        self.answers.insert(name, (len, false));
    }

    /// Checks that the worker has no more sockets open than it may.
    pub(crate) fn check_open(&self) -> io::Result<()> {
        let open = hg_net::figures().open;
        if open > self.most_open {
            return wrong(format!("{open} sockets are open, at most {} may be", self.most_open));
        }
        Ok(())
    }

    /// Takes what has come to an endpoint; returns whose it is.
    pub(crate) fn at_endpoint(&mut self, d: &Datagram) -> io::Result<Name> {
        let Some(name) = Name::read(Way::Up, &d.bytes) else {
            return wrong(format!("an endpoint got {} bytes that nobody sent", d.bytes.len()));
        };
        let owner = *self.flows.entry(d.from).or_insert(name.client);
        if owner != name.client {
            return wrong(format!("{} has datagrams of {owner} and of {}", d.from, name.client));
        }
        match self.sent.get_mut(&(name.client, name.number)) {
            Some(fate) if fate.len != d.bytes.len() - HEAD => {
                wrong(format!("{name:?} came with {} bytes", d.bytes.len()))
            }
            Some(fate) if fate.arrived => wrong(format!("{name:?} came twice")),
            Some(fate) => {
                fate.arrived = true;
                Ok(name)
            }
            None => wrong(format!("{name:?} was never sent")),
        }
    }

    /// Takes what has come to a client.
    pub(crate) fn at_client(&mut self, d: &Datagram, from: SocketAddr) -> io::Result<()> {
        let Some(name) = Name::read(Way::Down, &d.bytes) else {
            return wrong(format!("{} got {} bytes that nobody sent", d.to, d.bytes.len()));
        };
        if d.from != from || self.clients.get(name.client as usize) != Some(&d.to) {
            return wrong(format!("{} got {name:?} from {}", d.to, d.from));
        }
        match self.answers.get_mut(&name) {
            Some((len, _)) if *len != d.bytes.len() - HEAD => {
                wrong(format!("{name:?} came with {} bytes", d.bytes.len()))
            }
            Some((_, true)) => wrong(format!("{name:?} came twice")),
            Some((_, has_come)) => {
                *has_come = true;
                Ok(())
            }
            None => wrong(format!("nobody sent {name:?}")),
        }
    }

    /// Returns how many datagrams and answers were sent, and how many of both came.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let came = self.sent.values().filter(|fate| fate.arrived).count();
        let answers = self.answers.values().filter(|(_, has_come)| *has_come).count();
        (self.sent.len() + self.answers.len(), came + answers)
    }

    /// Returns how many datagrams clients have sent, and how many answers endpoints.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.sent.len() as u64, self.answers.len() as u64)
    }
}
