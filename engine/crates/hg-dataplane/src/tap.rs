//! Taps on their way to control planes: lines in chunks, a few times a second, so that no worker ever
//! wakes a reader.

use crate::proto::{TapChunk, TapRequest};
use hg_engine::{MAX_TAPS, TapFilter, TapReader};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::MissedTickBehavior;
use tonic::Status;

/// The interval at which a tap is read.
const EVERY: Duration = Duration::from_millis(100);

/// A chunk ends with the line that reaches so many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// One tap's stream.
pub type TapStream = Receiver<Result<TapChunk, Status>>;

/// Returns the filter that a control plane asks for.
///
/// # Errors
/// If the client is not a network, or a status is not a number of 16 bits.
pub fn filter(asked: TapRequest) -> Result<TapFilter, Status> {
    let wrong = |what: &str| Status::invalid_argument(format!("{what}; this is a bug"));
    let client = match asked.client.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| wrong("`client` is not a network"))?),
    };
    let of = |status: u32| u16::try_from(status).map_err(|_| wrong("a status is too great"));
    let (from, to) = (of(asked.status_from)?, of(asked.status_to)?);
    Ok(TapFilter {
        host: asked.host,
        path: asked.path,
        method: asked.method,
        listener: asked.listener,
        route: asked.route,
        upstream: asked.upstream,
        status: (to > 0).then_some((from, to)),
        client,
        slower_us: asked.slower_us,
        headers: asked.headers,
    })
}

/// Starts to send what a tap reads, until its stream is dropped; without a tap the stream says why.
pub fn stream(reader: Option<TapReader>) -> TapStream {
    // One chunk waits. If nobody takes it, the next lines wait in the tap, which has its bounds.
    let (sender, receiver) = channel(1);
    match reader {
        Some(reader) => drop(tokio::spawn(send(reader, sender))),
        None => {
            let refused = format!("at most {MAX_TAPS} taps are open at once");
            // There is room for it.
            let _ = sender.try_send(Ok(TapChunk { refused, ..TapChunk::default() }));
        }
    }
    receiver
}

async fn send(reader: TapReader, sender: Sender<Result<TapChunk, Status>>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Even if it is empty, the first chunk says that the tap is open.
    let mut is_told = false;
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = tick.tick() => {}
        }
        loop {
            let mut lines = Vec::new();
            let dropped = reader.take(CHUNK_BYTES, &mut lines);
            if is_told && lines.is_empty() && dropped == 0 {
                break;
            }
            is_told = true;
            let may_wait = lines.len() >= CHUNK_BYTES;
            let chunk = TapChunk { lines, dropped, refused: String::new() };
            if sender.send(Ok(chunk)).await.is_err() {
                return;
            }
            if !may_wait {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hg_engine::Taps;
    use std::sync::Arc;

    fn asked() -> TapRequest {
        TapRequest { client: "192.0.2.0/24".into(), path: "/a".into(), ..TapRequest::default() }
    }

    #[test]
    fn what_is_not_asked_for_leaves_nothing_out() {
        assert_eq!(filter(TapRequest::default()).unwrap(), TapFilter::default());
        let found = filter(TapRequest { status_from: 500, status_to: 599, ..asked() }).unwrap();
        assert_eq!((found.status, found.path.as_str()), (Some((500, 599)), "/a"));
        assert_eq!(found.client.unwrap().to_string(), "192.0.2.0/24");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(filter(TapRequest { client: "here".into(), ..asked() }).is_err());
        assert!(filter(TapRequest { status_to: 70_000, ..asked() }).is_err());
    }

    #[tokio::test]
    async fn the_first_chunk_says_that_the_tap_is_open() {
        let taps = Arc::new(Taps::default());
        let mut stream = stream(taps.open(TapFilter::default()));
        assert_eq!(stream.recv().await.unwrap().unwrap(), TapChunk::default());
        assert_eq!(taps.stats().open, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tap_ends_with_its_stream() {
        let taps = Arc::new(Taps::default());
        let mut stream = stream(taps.open(TapFilter::default()));
        stream.recv().await.unwrap().unwrap();
        drop(stream);
        while taps.stats().open > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_tap_too_many_is_told_so() {
        let mut stream = stream(None);
        let chunk = stream.recv().await.unwrap().unwrap();
        assert_eq!(chunk.refused, format!("at most {MAX_TAPS} taps are open at once"));
        assert!(stream.recv().await.is_none());
    }
}
