//! The thread of the control link: gRPC on a Unix socket, name resolution, and the engine's events.

use crate::channel::ToSupervisor;
use crate::link::Link;
use crate::proto::data_plane_server::DataPlaneServer;
use crate::service::{MESSAGE_BYTES, Service, Shared};
use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

/// The interval at which the engine is asked for events.
const EVENTS_EVERY: Duration = Duration::from_millis(500);

/// Stack of the thread and of the few that wait for workers on its behalf.
const STACK_BYTES: usize = 1024 * 1024;

/// Bytes that a sender may send ahead, so that a large plan waits for no answers on its way.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Most bytes of one HTTP/2 frame; a message of [`MESSAGE_BYTES`] takes a few of them.
const FRAME_BYTES: u32 = 256 * 1024;

/// Connections of control planes that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Opens a listening Unix socket to which only the owner may connect, in place of whatever was
/// there.
///
/// # Errors
/// Errors of the kernel; a path over 107 bytes is `InvalidInput`.
pub fn listen_privately(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Before `bind`: Linux gives the file the socket's mode, so it is never open to others.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Makes the runtime that everything on this thread shares.
///
/// # Errors
/// If the kernel gives no epoll or eventfd.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(STACK_BYTES)
        .thread_name("hg-blocking")
        .build()
}

/// Starts the thread; it serves as long as the process lives.
///
/// # Errors
/// If no thread can be started.
pub fn start(
    runtime: Runtime,
    listener: UnixListener,
    service: Arc<Service>,
    link: Arc<Link>,
) -> io::Result<()> {
    let builder = std::thread::Builder::new().name("hg-control".into()).stack_size(STACK_BYTES);
    builder.spawn(move || {
        let events = service.events.clone();
        if let Err(error) = runtime.block_on(serve(listener, service, link)) {
            let text = format!("the control link is down: {error}");
            events.emit(hg_engine::EventLevel::Error, "control.link_lost", None, text);
        }
    })?;
    Ok(())
}

async fn serve(listener: UnixListener, service: Arc<Service>, link: Arc<Link>) -> io::Result<()> {
    tokio::spawn(service.resolver.clone().run());
    tokio::spawn(report(service.clone(), link));
    let incoming = UnixListenerStream::new(tokio::net::UnixListener::from_std(listener)?);
    let face = DataPlaneServer::new(Shared(service)).max_decoding_message_size(MESSAGE_BYTES);
    Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .serve_with_incoming(face, incoming)
        .await
        .map_err(io::Error::other)
}

/// Passes on what the engine reports: events to watchers, lost workers to the supervisor.
async fn report(service: Arc<Service>, link: Arc<Link>) {
    let mut restarts = service.engine.worker_restarts();
    let mut tick = tokio::time::interval(EVENTS_EVERY);
    loop {
        tick.tick().await;
        service.events.emit_all(service.engine.take_events());
        let now = service.engine.worker_restarts();
        for (index, count) in now.iter().enumerate() {
            if restarts.get(index).is_some_and(|before| before < count) {
                // The main thread sees the loss of the supervisor as the end of the link.
                let _ = link.send(&ToSupervisor::WorkerLost { index });
            }
        }
        restarts = now;
    }
}
