//! A worker's thread, and what happens when it panics: only its connections are lost.

use crate::counters::lock;
use crate::engine::Inner;
use crate::report::EventLevel;
use crate::worker::{Prime, Worker};
use hg_net::Poller;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A worker needs little stack: there is no recursion on its path.
const STACK: usize = 512 * 1024;

pub(crate) fn spawn(inner: Arc<Inner>, index: usize, poller: Poller) -> io::Result<()> {
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .stack_size(STACK)
        .spawn(move || run(&inner, index, poller))?;
    Ok(())
}

fn run(inner: &Arc<Inner>, index: usize, first: Poller) {
    let Some(handle) = inner.workers.get(index) else {
        return;
    };
    if let Some(cpu) = inner.config.cpus.get(index) {
        // A container may forbid the binding; the worker then runs on any CPU.
        let _ = hg_net::bind_to_cpu(*cpu);
    }
    let mut poller = Some(first);
    loop {
        let result = catch_unwind(AssertUnwindSafe(|| -> io::Result<()> {
            let poller = match poller.take() {
                Some(p) => p,
                None => {
                    let p = Poller::new()?;
                    handle.mailbox.rewire(p.waker());
                    p
                }
            };
            let mut worker = Worker::new(
                inner.shared.clone(),
                handle.mailbox.clone(),
                handle.counters.clone(),
                poller,
                inner.records.of_worker(),
            )?;
            worker.prime(prime(inner, index));
            worker.run()
        }));
        let why = match result {
            Ok(Ok(())) => break,
            Ok(Err(e)) => e.to_string(),
            Err(_) => "panic".to_owned(),
        };
        let serving = lock(&inner.serving).clone();
        for entry in serving.listeners.iter().flatten().filter(|l| !l.is_udp()) {
            let lost = handle.counters.listener(&entry.name).connections.get();
            entry.open.fetch_sub(u32::try_from(lost).unwrap_or(0), Relaxed);
        }
        inner.shared.forget_open(handle.counters.connections.get());
        handle.counters.forget_open();
        handle.restarts.fetch_add(1, Relaxed);
        inner.shared.event(
            EventLevel::Error,
            "worker.lost",
            format!("worker {index} was replaced: {why}; its connections are lost"),
        );
        if inner.draining.load(Relaxed) {
            break;
        }
    }
    inner.finished.fetch_add(1, Relaxed);
}

/// Returns what a worker starts with.
fn prime(inner: &Inner, index: usize) -> Prime {
    let workers = inner.workers.len();
    let sockets = lock(&inner.sockets)
        .iter()
        .flat_map(|(address, fds)| {
            let own = fds.iter().enumerate().filter(move |(i, _)| i % workers == index);
            own.map(move |(i, fd)| (*address, i, fd.clone()))
        })
        .collect();
    Prime { snapshot: lock(&inner.serving).clone(), sockets }
}

#[cfg(test)]
mod tests;
