//! Hands the UDP flows of a process that leaves to its successor, with their sockets, over a
//! connection that the supervisor made for both. Neither side waits for longer than [`SILENCE`] for
//! the other, nor for longer than [`DEADLINE`] in all. What the successor does not say it took goes on
//! in the old process until it is quiet.

mod packets;
#[cfg(test)]
mod tests;

use crate::channel::PACKET_BYTES;
use crate::engine_port::EngineApi;
use crate::link::{Link, Received};
use hg_engine::{GivenFlows, MovedFlow};
use packets::{FromNew, FromOld};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The longest wait for one step of the other side, or of a worker.
const SILENCE: Duration = Duration::from_secs(1);
/// The longest time in which flows come or go.
const DEADLINE: Duration = Duration::from_secs(4);

/// Has the engine hand over to a successor. Its flows go to the other end of `socket`; without one
/// they stay.
pub(crate) fn give(socket: Option<OwnedFd>, engine: &Arc<dyn EngineApi>) {
    let Some(link) = socket.and_then(|socket| Link::bounded(socket, SILENCE).ok()) else {
        return engine.handoff(None);
    };
    let (to, flows) = channel();
    let back = engine.clone();
    let giving = move || give_all(&link, &flows, &*back);
    match std::thread::Builder::new().name("hand-over".into()).spawn(giving) {
        Ok(_) => engine.handoff(Some(to)),
        Err(_) => engine.handoff(None),
    }
}

/// Takes the flows of a predecessor from the other end of `socket`; without one there are none.
pub(crate) fn take(socket: Option<OwnedFd>, engine: &Arc<dyn EngineApi>) {
    let Some(link) = socket.and_then(|socket| Link::bounded(socket, SILENCE).ok()) else {
        return engine.flows_are_here(0);
    };
    let to = engine.clone();
    let taking = move || {
        let left = take_all(&link, &*to);
        to.flows_are_here(left);
    };
    if std::thread::Builder::new().name("hand-over".into()).spawn(taking).is_err() {
        engine.flows_are_here(0);
    }
}

/// Sends the flows of every worker, and gives back what was not taken.
fn give_all(link: &Link, flows: &Receiver<GivenFlows>, engine: &dyn EngineApi) {
    let until = Instant::now() + DEADLINE;
    let (mut kept, mut works): (Vec<GivenFlows>, bool) = (Vec::new(), true);
    let mut next = flows.recv_timeout(SILENCE);
    while let Ok(given) = next {
        works = works && send_flows(link, &given.flows, until).is_ok();
        kept.push(given);
        next = flows.recv_timeout(SILENCE);
    }
    let refused = if works { finish(link, until).ok() } else { None };
    // What a worker gives that was stuck until now.
    let late = || flows.iter().map(|given| (given, true));
    let mut at = 0;
    for (GivenFlows { worker, flows }, is_late) in
        kept.into_iter().map(|g| (g, false)).chain(late())
    {
        let first = at;
        at += flows.len();
        let is_back = |i: usize| refused.as_ref().is_none_or(|places| places.contains(&i));
        let back = flows.into_iter().enumerate();
        let back = back.filter(|(i, _)| is_late || is_back(first + i)).map(|(_, flow)| flow);
        engine.take_back_flows(GivenFlows { worker, flows: back.collect() });
    }
}

fn send_flows(link: &Link, flows: &[MovedFlow], until: Instant) -> io::Result<()> {
    let mut rest = flows;
    while !rest.is_empty() {
        let (packet, count) = packets::pack(rest.iter().map(|flow| &flow.told));
        let (some, others) = rest.split_at(count);
        if count == 0 || Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let fds: Vec<_> = some.iter().map(|flow| flow.fd.as_fd()).collect();
        link.send_with(&packet, &fds)?;
        rest = others;
    }
    Ok(())
}

/// Says that this is all; returns the places of flows that the successor has no place for.
fn finish(link: &Link, until: Instant) -> io::Result<HashSet<usize>> {
    link.send_with(&packets::encode(&FromOld::End), &[])?;
    let mut refused = HashSet::new();
    let mut buffer = vec![0; PACKET_BYTES];
    while let Received::Packet { len, .. } = link.receive(&mut buffer)? {
        let packet = buffer.get(..len).unwrap_or_default();
        match packets::decode(packet).map_err(io::Error::other)? {
            FromNew::Refused { flows } => refused.extend(flows),
            FromNew::Taken => return Ok(refused),
        }
        if Instant::now() >= until {
            break;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Receives flows and has the engine take them; returns how many stay with the predecessor.
fn take_all(link: &Link, engine: &dyn EngineApi) -> u64 {
    let mut all = Vec::new();
    let mut refused = Vec::new();
    if receive_flows(link, (&mut all, &mut refused)).is_err() {
        // The predecessor takes back what it sent, as it does not hear that anything was taken.
        return (all.len() + refused.len()) as u64;
    }
    // Each worker needs its flows in the order in which they were last seen.
    all.sort_by_key(|(_, flow)| std::cmp::Reverse(flow.told.quiet_us));
    let (places, flows): (Vec<usize>, Vec<MovedFlow>) = all.into_iter().unzip();
    let without = engine.take_flows(flows, SILENCE);
    refused.extend(without.into_iter().filter_map(|at| places.get(at).copied()));
    for packet in packets::answer(&refused) {
        if link.send_with(&packet, &[]).is_err() {
            // The predecessor is gone, or takes all flows back, and both answer their clients.
            break;
        }
    }
    refused.len() as u64
}

type Taken<'a> = (&'a mut Vec<(usize, MovedFlow)>, &'a mut Vec<usize>);

/// Receives flows until the end: those with a socket and the places of the others. There are sockets
/// missing if this process may not open so many.
fn receive_flows(link: &Link, (all, without): Taken<'_>) -> io::Result<()> {
    let until = Instant::now() + DEADLINE;
    let mut buffer = vec![0; PACKET_BYTES];
    let mut places = 0..;
    while let Received::Packet { len, fds } = link.receive(&mut buffer)? {
        let packet = buffer.get(..len).unwrap_or_default();
        match packets::decode(packet).map_err(io::Error::other)? {
            FromOld::End => return Ok(()),
            FromOld::Flows { flows } => {
                let mut fds = fds.into_iter();
                for (told, at) in flows.into_iter().zip(&mut places) {
                    match fds.next() {
                        Some(fd) => all.push((at, MovedFlow { told, fd })),
                        None => without.push(at),
                    }
                }
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
