//! A share of the seeds, and the faults that others found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use hg_sim::Scene;
use std::env;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|v| v.parse().unwrap())
}

/// `HEADGATE_SIM_SEED=7` plays one seed and prints what happened; `HEADGATE_SIM_SEEDS=100000` plays
/// so many, `HEADGATE_SIM_FIRST=5000` from another one on. Unless so many of a hundred are served, the
/// scene shows too little.
fn play(scene: Scene, share: u64, percent: usize) {
    if let Some(seed) = number("HEADGATE_SIM_SEED") {
        let (result, lines) = hg_sim::replay(scene, seed);
        for line in lines {
            eprintln!("{line}");
        }
        eprintln!("{:?}", result.unwrap());
        return;
    }
    let first = number("HEADGATE_SIM_FIRST").unwrap_or(1);
    let count = number("HEADGATE_SIM_SEEDS").unwrap_or(share);
    let (mut wrong, mut asked, mut served) = (Vec::new(), 0, 0);
    for seed in first..first + count {
        match hg_sim::run(scene, seed) {
            Ok(report) => {
                asked += report.asked;
                served += report.served;
            }
            Err(e) => wrong.push(e),
        }
        if wrong.len() >= 20 {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("{scene:?}, {count} seeds from {first}: {asked} asked, {served} served");
    assert!(served * 100 > asked * percent, "of {asked} only {served} were served");
}

#[test]
fn what_must_always_hold_of_http_holds_for_every_seed() {
    play(Scene::Http, 2000, 25);
}

#[test]
fn what_must_always_hold_of_grpc_holds_for_every_seed() {
    play(Scene::Grpc, 200, 25);
}

#[test]
fn what_must_always_hold_of_mirrors_holds_for_every_seed() {
    play(Scene::Mirrors, 500, 25);
}

#[test]
fn what_must_always_hold_of_websockets_over_http2_holds_for_every_seed() {
    play(Scene::Sockets, 200, 20);
}

#[test]
fn what_must_always_hold_of_tcp_holds_for_every_seed() {
    play(Scene::Tcp, 300, 25);
}

#[test]
fn what_must_always_hold_of_udp_holds_for_every_seed() {
    play(Scene::Udp, 1000, 25);
}

/// Seeds that found faults of the worker. TCP: connections in the making, and connections that could not
/// be registered, ended in order where their other side had been reset. WebSockets: the end of an
/// endpoint's half took along what its client had sent, where a request before had used HTTP/2. Mirrors:
/// a client got a part of the close frame of a worker that left. UDP: where each datagram has an endpoint
/// chosen for it, a second flow of a client took the place of its first one to the same endpoint.
#[test]
fn seeds_that_found_faults_find_none_now() {
    for (scene, seed) in [
        (Scene::Tcp, 1),
        (Scene::Tcp, 156),
        (Scene::Tcp, 164),
        (Scene::Sockets, 3986),
        (Scene::Sockets, 5981),
        (Scene::Mirrors, 15_370),
        (Scene::Udp, 10_428),
        (Scene::Udp, 10_898),
    ] {
        assert!(hg_sim::run(scene, seed).is_ok(), "{scene:?}, seed {seed}");
    }
}

#[test]
fn the_same_seed_plays_the_same_run() {
    for seed in 1..200 {
        assert_eq!(hg_sim::run(Scene::Http, seed), hg_sim::run(Scene::Http, seed), "seed {seed}");
    }
    for scene in [Scene::Sockets, Scene::Grpc, Scene::Tcp, Scene::Udp] {
        for seed in 1..30 {
            assert_eq!(hg_sim::run(scene, seed), hg_sim::run(scene, seed), "{scene:?}, {seed}");
        }
    }
}
