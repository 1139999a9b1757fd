//! The session of the `h2` crate, driven by hand: bytes in memory, a waker that does nothing.

use super::{Outcome, sorted};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, Connection, SendResponse};
use hg_proto::Known;
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Input that ends with a wait, and output that is kept.
struct Io {
    input: Vec<u8>,
    at: usize,
    output: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.input[self.at..];
        if rest.is_empty() {
            return Poll::Pending;
        }
        let len = rest.len().min(to.remaining());
        to.put_slice(&rest[..len]);
        self.at += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.lock().unwrap().extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Open = BTreeMap<u32, (RecvStream, SendResponse<Bytes>)>;

pub fn serve(bytes: &[u8]) -> Outcome {
    let output = std::sync::Arc::default();
    let io = Io { input: bytes.to_vec(), at: 0, output: std::sync::Arc::clone(&output) };
    let mut context = Context::from_waker(Waker::noop());
    let mut outcome = Outcome::default();
    let mut handshake = Builder::new()
        .initial_window_size(65_536)
        .initial_connection_window_size(1 << 20)
        .max_concurrent_streams(128)
        .max_header_list_size(64 * 1024)
        .enable_connect_protocol()
        .handshake::<_, Bytes>(io);
    let connection = match Pin::new(&mut handshake).poll(&mut context) {
        Poll::Ready(Ok(connection)) => connection,
        Poll::Ready(Err(_)) => {
            outcome.closed = Some((1, "handshake"));
            return outcome;
        }
        Poll::Pending => return outcome,
    };
    let open = accept(connection, &mut context, &mut outcome);
    drop(open);
    let output = output.lock().unwrap();
    read_output(&output, &mut outcome);
    outcome
}

/// Takes in all requests and their bodies.
fn accept(
    mut connection: Connection<Io, Bytes>,
    context: &mut Context<'_>,
    outcome: &mut Outcome,
) -> (Open, Connection<Io, Bytes>) {
    let mut open = Open::new();
    for _ in 0..40 {
        match connection.poll_accept(context) {
            Poll::Ready(Some(Ok((request, respond)))) => {
                let id = respond.stream_id().as_u32();
                let (parts, body) = request.into_parts();
                let stream = outcome.streams.entry(id).or_default();
                stream.head = Some(head(&parts));
                stream.ended = body.is_end_stream();
                open.insert(id, (body, respond));
            }
            Poll::Ready(Some(Err(error))) => {
                let code = error.reason().map_or(1, u32::from);
                let what = if error.is_remote() { "remote" } else { "error" };
                outcome.closed.get_or_insert((code, what));
            }
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
        for (id, (body, _)) in &mut open {
            collect(body, context, outcome.streams.entry(*id).or_default());
        }
    }
    (open, connection)
}

fn fields(map: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(n, v)| (n.as_str().into(), v.as_bytes().to_vec())).collect()
}

fn head(parts: &http::request::Parts) -> Vec<(String, Vec<u8>)> {
    let uri = &parts.uri;
    let path = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let authority = uri.authority().map_or_else(
        || parts.headers.get("host").map(|h| h.as_bytes().to_vec()).unwrap_or_default(),
        |a| a.as_str().into(),
    );
    let mut head = vec![
        (":method".into(), parts.method.as_str().into()),
        (":scheme".into(), uri.scheme_str().unwrap_or(super::DROPPED).into()),
        (":authority".into(), authority),
        (":path".into(), path.into()),
    ];
    head.extend(sorted(fields(&parts.headers)));
    head
}

fn collect(body: &mut RecvStream, context: &mut Context<'_>, stream: &mut super::Stream) {
    while let Poll::Ready(Some(Ok(bytes))) = body.poll_data(context) {
        let _ = body.flow_control().release_capacity(bytes.len());
        stream.body.extend(&bytes);
    }
    if let Poll::Ready(Ok(Some(trailers))) = body.poll_trailers(context) {
        let mut trailers = fields(&trailers);
        // As our `Message::fields` does.
        trailers.retain(|(name, _)| !Known::folded(name.as_bytes()).is_forbidden_trailer());
        stream.trailers = Some(sorted(trailers));
    }
    stream.ended |= body.is_end_stream();
}

/// Finds the resets and the end in what a session wrote.
pub fn read_output(mut bytes: &[u8], outcome: &mut Outcome) {
    while let [a, b, c, kind, _, d, e, f, g, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let id = u32::from_be_bytes([*d, *e, *f, *g]);
        match kind {
            3 => {
                outcome.streams.entry(id).or_default().refused.get_or_insert("reset");
            }
            7 => {
                let code = u32::from_be_bytes(rest[4..8].try_into().unwrap());
                if code != 0 && outcome.closed.is_none() {
                    outcome.closed = Some((code, "goaway"));
                }
            }
            _ => {}
        }
        bytes = &rest[len..];
    }
}
