//! What an idle session holds, and what traffic allocates.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

mod common;

use common::*;
use std::io::Write;

/// Resident memory of this process in bytes, including what the C library of the ciphers holds.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Held by each test: what another one allocates would count.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn an_idle_session_holds_at_most_5_kib() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let options = ClientOptions { versions: vec![version], ..ClientOptions::default() };
        let mut config = (*client_config(&ca, &options)).clone();
        config.resumption = rustls::client::Resumption::disabled();
        let config = std::sync::Arc::new(config);
        let establish = |n: usize| -> Vec<_> {
            (0..n).map(|_| connect(&config, &context, "a.example").1.session).collect()
        };
        // The first ones fill the allocator's pools with what later ones use again.
        let warm = establish(300);
        let before = resident();
        let sessions = establish(2000);
        let each = resident().saturating_sub(before) / sessions.len();
        assert!(each <= 5 * 1024, "{version:?}: {each} bytes a session");
        assert_eq!(warm.len() + sessions.len(), 2300);
        println!(
            "{version:?}: {each} bytes a session, {} in the struct",
            size_of_val(&sessions[0])
        );
    }
}

#[test]
fn steady_traffic_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let options = ClientOptions { versions: vec![version], ..ClientOptions::default() };
        let (mut client, mut server) =
            connect(&client_config(&ca, &options), &context, "a.example");
        let mut requests: Vec<_> = (0..50)
            .map(|_| {
                client.writer().write_all(&[b'q'; 300]).unwrap();
                take(&mut client)
            })
            .collect();
        let (mut plain, mut out) = (Vec::with_capacity(1 << 17), Vec::with_capacity(1 << 17));
        let body = vec![b'x'; 64 * 1024];
        let counted = allocation_counter::measure(|| {
            for request in &mut requests {
                plain.clear();
                out.clear();
                let received = server.session.receive(request, &mut plain, &mut out).unwrap();
                assert_eq!((received.consumed, plain.len()), (request.len(), 300));
                server.session.send(&body, &mut out).unwrap();
            }
        });
        assert_eq!(counted.count_total, 0, "{version:?}");
    }
}
