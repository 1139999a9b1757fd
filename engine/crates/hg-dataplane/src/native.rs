//! Implements the port with the real engine, and runs the process.

use crate::channel::Start;
use crate::engine_port::{Applied, BlobLookup, EngineApi};
use crate::process::run_on_stdin;
use hg_engine::{EndpointOrder, Engine, EngineConfig, EngineEvent, EngineMetrics, EngineStatus};
use hg_engine::{GivenFlows, MovedFlow, TapFilter, TapReader};
use hg_plan::{Change, ObjectError, Plan};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Runs a data-plane process whose supervisor is on standard input; returns the exit status.
pub fn main() -> i32 {
    run_on_stdin(&start_engine)
}

fn start_engine(start: &Start) -> io::Result<Arc<dyn EngineApi>> {
    let engine = Engine::start(EngineConfig {
        workers: start.workers,
        cpus: start.cpus.clone(),
        generation: start.generation,
        ticket_secrets: start.ticket_secrets.clone(),
    })?;
    Ok(Arc::new(engine))
}

impl EngineApi for Engine {
    fn apply(
        &self,
        plan: &Plan,
        changed: &[Change],
        blobs: &BlobLookup<'_>,
    ) -> Result<Applied, Vec<ObjectError>> {
        let applied = Engine::apply(self, plan, changed, blobs)?;
        Ok(Applied { compile_us: applied.compile_us, swap_us: applied.swap_us })
    }

    fn check_machine(&self, plan: &Plan, changed: &[Change]) -> Result<(), Vec<ObjectError>> {
        Engine::check_machine(self, plan, changed)
    }

    fn add_sockets(&self, address: &str, sockets: Vec<OwnedFd>) {
        Engine::add_sockets(self, address, sockets);
    }

    fn close_listener(&self, address: &str, done: Box<dyn FnOnce() + Send>) {
        Engine::close_listener(self, address, done);
    }

    fn handoff(&self, flows: Option<mpsc::Sender<GivenFlows>>) {
        Engine::handoff(self, flows);
    }

    fn take_back_flows(&self, given: GivenFlows) {
        Engine::take_back_flows(self, given);
    }

    fn await_flows(&self) {
        Engine::await_flows(self);
    }

    fn take_flows(&self, flows: Vec<MovedFlow>, patience: Duration) -> Vec<usize> {
        Engine::take_flows(self, flows, patience)
    }

    fn flows_are_here(&self, left: u64) {
        Engine::flows_are_here(self, left);
    }

    fn drain(&self, closed: Box<dyn FnOnce() + Send>) {
        Engine::drain(self, closed);
    }

    fn probe(&self, alive: Box<dyn FnOnce() + Send>) {
        Engine::probe(self, alive);
    }

    fn rotate_tickets(&self, secret: &str) -> Result<(), String> {
        Engine::rotate_tickets(self, secret)
    }

    fn is_drained(&self) -> bool {
        Engine::is_drained(self)
    }

    fn names(&self) -> Vec<String> {
        Engine::names(self)
    }

    fn set_addresses(&self, name: &str, result: Result<Vec<SocketAddr>, String>) {
        Engine::set_addresses(self, name, result);
    }

    fn find_endpoint(&self, upstream: &str, address: &str) -> Result<(), String> {
        Engine::find_endpoint(self, upstream, address)
    }

    fn ordered(&self) -> Vec<(String, String)> {
        Engine::ordered(self)
    }

    fn order(&self, upstream: &str, address: &str, order: EndpointOrder) {
        Engine::order(self, upstream, address, order);
    }

    fn status(&self) -> EngineStatus {
        Engine::status(self)
    }

    fn metrics(&self) -> EngineMetrics {
        Engine::metrics(self)
    }

    fn tap(&self, filter: TapFilter) -> Option<TapReader> {
        Engine::tap(self, filter)
    }

    fn reopen_logs(&self) {
        Engine::reopen_logs(self);
    }

    fn take_events(&self) -> Vec<EngineEvent> {
        Engine::take_events(self)
    }

    fn worker_restarts(&self) -> Vec<u64> {
        Engine::worker_restarts(self)
    }
}
