//! CPU time of sessions on this machine, ours compared with rustls' buffered connection: `cargo
//! bench -p hg-tls`. Thread CPU time, median of rounds that alternate between the two.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a program that prints a table"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use hg_plan::{Change, Kind, ObjectKey};
use hg_tls::TlsContext;
use rustix::time::{ClockId, clock_gettime};
use rustls::{ClientConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::Arc;

fn cpu_ns() -> u64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

const ROUNDS: usize = 15;

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn timed(n: usize, mut act: impl FnMut()) -> f64 {
    let start = cpu_ns();
    for _ in 0..n {
        act();
    }
    (cpu_ns() - start) as f64 / n as f64
}

fn row(what: &str, ours: Vec<f64>, theirs: Vec<f64>) {
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{what:<44} {:>10.2} {:>10.2} {:>7.2}", ours / 1e3, theirs / 1e3, ours / theirs);
}

/// A buffered connection in the same state as ours.
fn buffered(
    context: &TlsContext,
    config: &Arc<ClientConfig>,
) -> (rustls::ClientConnection, ServerConnection) {
    let mut client = client(config, "a.example");
    let mut server = ServerConnection::new(select(context, "a.example").config().clone()).unwrap();
    while client.is_handshaking()
        || server.is_handshaking()
        || client.wants_write()
        || server.wants_write()
    {
        let bytes = take(&mut client);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut out = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        give(&mut client, &out).unwrap();
    }
    server.set_buffer_limit(None);
    (client, server)
}

fn sending(context: &TlsContext, config: &Arc<ClientConfig>, size: usize, n: usize) {
    let body = vec![b'x'; size];
    let (_c1, mut ours) = connect(config, context, "a.example");
    let (_c2, mut theirs) = buffered(context, config);
    let mut out = Vec::with_capacity(256 * 1024);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(timed(n, || {
            out.clear();
            ours.session.send(&body, &mut out).unwrap();
        }));
        b.push(timed(n, || {
            out.clear();
            theirs.writer().write_all(&body).unwrap();
            while theirs.wants_write() {
                theirs.write_tls(&mut out).unwrap();
            }
        }));
    }
    row(&format!("send {size} B"), a, b);
}

/// `n` protected messages of a client.
fn messages(client: &mut rustls::ClientConnection, body: &[u8], n: usize) -> Vec<Vec<u8>> {
    client.set_buffer_limit(None);
    (0..n)
        .map(|_| {
            client.writer().write_all(body).unwrap();
            take(client)
        })
        .collect()
}

fn receiving(context: &TlsContext, config: &Arc<ClientConfig>, size: usize, n: usize) {
    let body = vec![b'x'; size];
    let (mut c1, mut ours) = connect(config, context, "a.example");
    let (mut c2, mut theirs) = buffered(context, config);
    let mut input = Vec::with_capacity(256 * 1024);
    let mut plain = vec![0; 256 * 1024];
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut batch = messages(&mut c1, &body, n).into_iter();
        a.push(timed(n, || {
            ours.plain.clear();
            input.clear();
            input.extend_from_slice(&batch.next().unwrap());
            let r = ours.session.receive(&mut input, &mut ours.plain, &mut ours.out).unwrap();
            assert!(r.consumed == input.len() && ours.plain.len() == size);
        }));
        let mut batch = messages(&mut c2, &body, n).into_iter();
        b.push(timed(n, || {
            let message = batch.next().unwrap();
            let (mut rest, mut got) = (&message[..], 0);
            while got < size {
                if !rest.is_empty() {
                    theirs.read_tls(&mut rest).unwrap();
                }
                if theirs.process_new_packets().unwrap().plaintext_bytes_to_read() > 0 {
                    got += theirs.reader().read(&mut plain[got..]).unwrap();
                }
            }
        }));
    }
    row(&format!("receive {size} B"), a, b);
}

/// Does one handshake; returns the server's time, from ClientHello to the ticket and its end.
fn ours(context: &TlsContext, config: &Arc<ClientConfig>) -> u64 {
    let mut client = client(config, "a.example");
    let hello = take(&mut client);
    let start = cpu_ns();
    assert_ne!(hg_tls::peek_client_hello(&hello).unwrap(), hg_tls::Parse::Partial);
    let mut server = Server::new(session(context, "a.example"));
    server.feed(&hello, usize::MAX);
    let mut spent = cpu_ns() - start;
    give(&mut client, &server.out).unwrap();
    server.out.clear();
    let finished = take(&mut client);
    let start = cpu_ns();
    server.feed(&finished, usize::MAX);
    spent += cpu_ns() - start;
    assert!(server.last.handshake_done);
    let _ = give(&mut client, &server.out);
    let start = cpu_ns();
    drop(server);
    spent + cpu_ns() - start
}

fn theirs(context: &TlsContext, config: &Arc<ClientConfig>) -> u64 {
    let mut client = client(config, "a.example");
    let mut out = Vec::new();
    let mut answer = |server: &mut ServerConnection, bytes: &[u8]| {
        let start = cpu_ns();
        server.read_tls(&mut &*bytes).unwrap();
        server.process_new_packets().unwrap();
        out.clear();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        (cpu_ns() - start, out.clone())
    };
    let hello = take(&mut client);
    let start = cpu_ns();
    let config = select(context, "a.example").config().clone();
    let mut server = ServerConnection::new(config).unwrap();
    let made = cpu_ns() - start;
    let (first, flight) = answer(&mut server, &hello);
    give(&mut client, &flight).unwrap();
    let (second, ticket) = answer(&mut server, &take(&mut client));
    let _ = give(&mut client, &ticket);
    let start = cpu_ns();
    drop(server);
    made + first + second + cpu_ns() - start
}

fn handshakes(what: &str, context: &TlsContext, config: &Arc<ClientConfig>, n: u64) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push((0..n).map(|_| ours(context, config)).sum::<u64>() as f64 / n as f64);
        b.push((0..n).map(|_| theirs(context, config)).sum::<u64>() as f64 / n as f64);
    }
    let per_second = 1e9 / median(a.clone());
    row(&format!("{what}, {per_second:.0}/s"), a, b);
}

/// `n` hosts, each with a certificate of its own.
fn many(ca: &Authority, n: usize) -> World {
    let mut world = World::default();
    let mut changes = Vec::new();
    let mut put = |kind, name: String, json: String| {
        let bytes = Some(json.into_bytes());
        changes.push(Change { kind, name: name.into(), bytes });
    };
    for i in 0..n {
        let key = ecdsa();
        let host = format!("h{i}.example");
        let (cert, key) = (ca.issue(&[&host], &key), key.serialize_pem());
        let (cert, key) = (world.blob(cert.as_bytes()), world.blob(key.as_bytes()));
        put(Kind::Certificate, format!("c{i}"), format!(r#"{{"cert":"{cert}","key":"{key}"}}"#));
        put(Kind::Host, host, format!(r#"{{"certificates":["c{i}"]}}"#));
    }
    world.plan.apply(&changes).unwrap();
    world.listener("{}");
    world
}

/// Contexts of many certificates: from nothing, one renewed, none changed.
fn building(ca: &Authority, n: usize) {
    let mut world = many(ca, n);
    let ticketer = ticketer();
    let ms = |start| (cpu_ns() - start) as f64 / 1e6;
    let start = cpu_ns();
    let first = world.build(&ticketer, None).unwrap();
    let full = ms(start);
    let start = cpu_ns();
    let second = Arc::new(world.build(&ticketer, Some(&first)).unwrap());
    let same = ms(start);
    let key = ecdsa();
    world.certificate("c7", &ca.issue(&["h7.example"], &key), &key.serialize_pem());
    let blobs = |sha: &str| world.blobs.get(sha).cloned();
    let changed = [ObjectKey { kind: Kind::Certificate, name: "c7".into() }];
    let start = cpu_ns();
    let updated = second.update(&world.plan, &blobs, &ticketer, &changed).unwrap();
    let one = ms(start);
    assert_eq!(updated.certificates().count(), n);
    println!(
        "{n} certificates, ms: {full:.1} from nothing, {same:.1} built again, {one:.2} one renewed"
    );
}

fn main() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    let x25519 = client_config(&ca, &ClientOptions::default());
    println!("{:<44} {:>10} {:>10} {:>7}", "µs of CPU", "hg-tls", "buffered", "ratio");
    for (size, n) in [(13, 2000), (1024, 2000), (16 * 1024, 500), (64 * 1024, 150)] {
        sending(&context, &x25519, size, n);
    }
    for (size, n) in [(100, 2000), (16 * 1024, 300), (64 * 1024, 100)] {
        receiving(&context, &x25519, size, n);
    }
    // Resumption is off: a fresh store each time would cost the client, so there are no tickets.
    let mut plain = (*x25519).clone();
    plain.resumption = rustls::client::Resumption::disabled();
    handshakes("full handshake, X25519, P-256", &context, &Arc::new(plain.clone()), 100);
    handshakes("resumed handshake, X25519", &context, &x25519, 100);
    let options = ClientOptions {
        groups: rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec(),
        ..ClientOptions::default()
    };
    let mut hybrid = (*client_config(&ca, &options)).clone();
    hybrid.resumption = rustls::client::Resumption::disabled();
    handshakes("full handshake, X25519MLKEM768, P-256", &context, &Arc::new(hybrid), 100);
    building(&ca, 1000);
    building(&ca, 10_000);
}
