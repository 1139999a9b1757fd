//! The gRPC service of `plan.proto`: accepts plans, and reports status, metrics and events.

use crate::apply::{ApplyMachine, ApplyThread, Outcome, Step};
use crate::convert;
use crate::engine_port::EngineApi;
use crate::events::EventHub;
use crate::openmetrics::{Figures, LatencyWindow, ProcessReport, render};
use crate::orders::Orders;
use crate::proto;
use crate::proto::data_plane_server::DataPlane;
use crate::resolver::Resolver;
use crate::tap;
use hg_engine::{EventLevel, ReasonCount};
use prost::bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Most bytes of one message: 1 MiB of content and room around it.
pub const MESSAGE_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// Bytes of one chunk of the metrics page.
const METRICS_CHUNK_BYTES: usize = 256 * 1024;

/// Everything that the service uses.
pub struct Service {
    /// The engine, which serves the plan.
    pub engine: Arc<dyn EngineApi>,
    /// The thread that applies plans.
    pub apply: ApplyThread,
    /// Events for watchers.
    pub events: Arc<EventHub>,
    /// The resolver of names.
    pub resolver: Resolver,
    /// Orders of operators.
    pub orders: Orders,
    /// True once the process has begun to leave; the process sets it.
    pub is_leaving: Arc<AtomicBool>,
    /// Asks the process to drain.
    pub drain: Box<dyn Fn() + Send + Sync>,
    /// Counts data-plane processes of this node.
    pub generation: u64,
    /// The time at which the process began to serve.
    pub start: Instant,
    /// Readings for the latency gauges.
    pub latency: Mutex<LatencyWindow>,
    /// Plans received, by outcome.
    pub applies: ApplyCounts,
}

/// Plans received, by outcome.
#[derive(Debug, Default)]
pub struct ApplyCounts {
    applied: AtomicU64,
    refused: AtomicU64,
    base_mismatch: AtomicU64,
    blobs_missing: AtomicU64,
}

impl ApplyCounts {
    fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Applied(_) => &self.applied,
            Outcome::Refused(_) => &self.refused,
            Outcome::BaseMismatch => &self.base_mismatch,
            Outcome::BlobsMissing(_) => &self.blobs_missing,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> [ReasonCount; 4] {
        let read = |reason, counter: &AtomicU64| ReasonCount {
            reason,
            count: counter.load(Ordering::Relaxed),
        };
        [
            read("applied", &self.applied),
            read("refused", &self.refused),
            read("base_mismatch", &self.base_mismatch),
            read("blobs_missing", &self.blobs_missing),
        ]
    }
}

impl Service {
    /// Reads one stream and returns its outcome.
    async fn take(&self, stream: &mut Streaming<proto::ApplyMessage>) -> Result<Outcome, Status> {
        let mut machine = ApplyMachine::new(self.apply.held());
        while let Some(message) = stream.message().await? {
            match machine.handle(message) {
                Step::More => {}
                Step::Ready(transaction) => {
                    let outcome = self.apply.apply(transaction).await;
                    return outcome.ok_or_else(|| Status::unavailable("leaving"));
                }
                Step::Refused(faults) => return Ok(Outcome::Refused(faults)),
                Step::BaseMismatch => return Ok(Outcome::BaseMismatch),
                Step::Invalid(text) => return Err(Status::invalid_argument(text)),
            }
        }
        Err(Status::invalid_argument("the stream ended before `end`"))
    }

    fn metrics_page(&self) -> String {
        let engine = self.engine.metrics();
        let uptime = self.start.elapsed();
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = latency.read(uptime, &engine.duration);
        drop(latency);
        render(&Figures {
            engine: &engine,
            lately,
            names: &self.resolver.reports(),
            process: ProcessReport::now(),
            generation: self.generation,
            applies: &self.applies.read(),
            uptime,
        })
    }
}

/// The service as tonic uses it, shared with work that blocks.
#[derive(Clone)]
pub struct Shared(pub Arc<Service>);

impl Shared {
    /// Runs work that may wait for the workers away from the thread of the link.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Service) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let service = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&service)).await;
        done.map_err(|_| Status::internal("failed inside; this is a bug"))
    }
}

#[tonic::async_trait]
impl DataPlane for Shared {
    type MetricsStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<proto::MetricsChunk, Status>>>;
    type EventsStream = ReceiverStream<Result<proto::Event, Status>>;
    type TapStream = ReceiverStream<Result<proto::TapChunk, Status>>;

    async fn hello(
        &self,
        _: Request<proto::HelloRequest>,
    ) -> Result<Response<proto::HelloReply>, Status> {
        let service = &self.0;
        let loaded = self.blocking(|service| service.orders.load(&*service.engine)).await?;
        if let Err(error) = loaded {
            let text = format!("the orders for endpoints cannot be read: {error}");
            service.events.emit(EventLevel::Error, "orders.damaged", None, text);
        }
        let workers = service.engine.worker_restarts().len();
        Ok(Response::new(proto::HelloReply {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            generation: service.generation,
            plan_digest: service.apply.held().hex(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            draining: service.is_leaving.load(Ordering::Relaxed),
        }))
    }

    async fn apply(
        &self,
        request: Request<Streaming<proto::ApplyMessage>>,
    ) -> Result<Response<proto::ApplyReply>, Status> {
        let outcome = self.0.take(&mut request.into_inner()).await?;
        self.0.applies.count(&outcome);
        Ok(Response::new(convert::reply(outcome, self.0.apply.held())))
    }

    async fn drain(
        &self,
        _: Request<proto::DrainRequest>,
    ) -> Result<Response<proto::DrainReply>, Status> {
        let started = !self.0.is_leaving.load(Ordering::Relaxed);
        (self.0.drain)();
        Ok(Response::new(proto::DrainReply { started }))
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusReply>, Status> {
        let with_endpoints = request.into_inner().endpoints;
        let status = self.blocking(|service| service.engine.status()).await?;
        Ok(Response::new(convert::status(status, with_endpoints)))
    }

    async fn metrics(
        &self,
        _: Request<proto::MetricsRequest>,
    ) -> Result<Response<Self::MetricsStream>, Status> {
        let page = Bytes::from(self.blocking(Service::metrics_page).await?);
        Ok(Response::new(tokio_stream::iter(chunks(&page))))
    }

    async fn events(
        &self,
        _: Request<proto::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        Ok(Response::new(ReceiverStream::new(self.0.events.watch()?)))
    }

    async fn tap(
        &self,
        request: Request<proto::TapRequest>,
    ) -> Result<Response<Self::TapStream>, Status> {
        let reader = self.0.engine.tap(tap::filter(request.into_inner())?);
        Ok(Response::new(ReceiverStream::new(tap::stream(reader))))
    }

    async fn set_endpoint(
        &self,
        request: Request<proto::SetEndpointRequest>,
    ) -> Result<Response<proto::SetEndpointReply>, Status> {
        let asked = request.into_inner();
        let set = move |service: &Service| {
            let engine = &*service.engine;
            service.orders.set(engine, &asked.upstream, &asked.endpoint, &asked.state)
        };
        let error = self.blocking(set).await?.err().unwrap_or_default();
        Ok(Response::new(proto::SetEndpointReply { error }))
    }

    async fn reopen_logs(
        &self,
        _: Request<proto::ReopenLogsRequest>,
    ) -> Result<Response<proto::ReopenLogsReply>, Status> {
        self.0.engine.reopen_logs();
        Ok(Response::new(proto::ReopenLogsReply {}))
    }
}

/// Splits the page into chunks that share its memory.
fn chunks(page: &Bytes) -> Vec<Result<proto::MetricsChunk, Status>> {
    let starts = (0..page.len()).step_by(METRICS_CHUNK_BYTES);
    let piece = |start| page.slice(start..page.len().min(start + METRICS_CHUNK_BYTES));
    starts.map(|start| Ok(proto::MetricsChunk { text: piece(start) })).collect()
}
