//! The reader of a peer's connection. It holds the worker to the rules of RFC 9113, and shares no
//! code with `hg-h2` but the reader of header blocks.

use super::frame::{self, Frame, put};
use super::link::{Heard, Link};
use super::stream::Stream;
use crate::ledger::wrong;
use std::io;

impl Link {
    /// Takes the next frame that is there; what it means for the owner is appended to `heard`.
    /// Reports whether there was one.
    pub(crate) fn next(&mut self, heard: &mut Vec<Heard>) -> io::Result<bool> {
        let Some(f) = frame::take(&mut self.wire.input) else { return Ok(false) };
        if f.payload.len() > self.mine.frame() {
            return wrong(format!("a frame of {} bytes", f.payload.len()));
        }
        if !self.theirs.came && (f.kind != frame::SETTINGS || f.has(frame::END)) {
            return wrong(format!("the first frame has the type {}", f.kind));
        }
        if self.blocks.open.is_some() != (f.kind == frame::CONTINUATION) {
            return wrong("CONTINUATION is missing or out of place".to_owned());
        }
        match f.kind {
            frame::DATA => self.on_data(&f, heard),
            frame::HEADERS | frame::CONTINUATION => self.on_headers(&f, heard),
            frame::RST_STREAM => self.on_reset(&f, heard),
            frame::SETTINGS => self.on_settings(&f),
            frame::PING => self.on_ping(&f, heard),
            frame::GOAWAY => {
                let (Some(last), Some(code)) = (f.number(0), f.number(4)) else {
                    return wrong("a short GOAWAY".to_owned());
                };
                hg_net::trace(|| format!("GOAWAY up to {last}, code {code}"));
                heard.push(Heard::Away(last));
                Ok(())
            }
            frame::WINDOW_UPDATE => self.on_window(&f),
            kind => wrong(format!("a frame of the type {kind}")),
        }?;
        Ok(true)
    }

    /// Returns a stream on which a frame came; `None` if it was cut off.
    fn stream(&mut self, f: &Frame) -> io::Result<Option<&mut Stream>> {
        match self.streams.get_mut(&f.stream) {
            Some(s) if s.ended => wrong(format!(
                "a frame of the type {} after the end of stream {}",
                f.kind, f.stream
            )),
            Some(s) => Ok(Some(s)),
            None if self.flow.cut.contains(&f.stream) => Ok(None),
            None => wrong(format!("a frame of the type {} on stream {}", f.kind, f.stream)),
        }
    }

    fn on_data(&mut self, f: &Frame, heard: &mut Vec<Heard>) -> io::Result<()> {
        let len = f.payload.len();
        self.flow.recv -= len as i64;
        if self.flow.recv < 0 {
            return wrong("more bytes than the connection's window".to_owned());
        }
        self.flow.owed += len as u32;
        let Some(content) = f.content() else { return wrong("wrong padding".to_owned()) };
        let Some(s) = self.stream(f)? else { return Ok(()) };
        s.recv_window -= len as i64;
        if s.recv_window < 0 && len > 0 {
            return wrong(format!("more bytes than the window of stream {}", f.stream));
        }
        if !s.has_head {
            return wrong(format!("DATA before the head of stream {}", f.stream));
        }
        s.owed += len as u32;
        s.message.body.extend_from_slice(content);
        s.ended = f.has(frame::END);
        let (ended, spent) = (s.ended, s.spend(content.len()));
        if ended {
            // There is nothing left to lose patience with.
            s.patience = None;
        }
        if spent && !ended {
            self.flow.spent.push(f.stream);
        }
        if ended {
            heard.push(Heard::End(f.stream));
        }
        Ok(())
    }

    fn on_headers(&mut self, f: &Frame, heard: &mut Vec<Heard>) -> io::Result<()> {
        let Some(content) = f.content().filter(|_| f.stream % 2 == 1) else {
            return wrong(format!("HEADERS on stream {}", f.stream));
        };
        let (stream, end, mut block) =
            self.blocks.open.take().unwrap_or((f.stream, f.has(frame::END), Vec::new()));
        if stream != f.stream {
            return wrong("CONTINUATION of another stream".to_owned());
        }
        block.extend_from_slice(content);
        if !f.has(frame::END_HEADERS) {
            self.blocks.open = Some((stream, end, block));
            return Ok(());
        }
        let fields = match self.blocks.reader.block(&block) {
            Ok(fields) => fields,
            Err(why) => return wrong(format!("a header block: {why}")),
        };
        if !self.is_client && stream > self.last {
            self.last = stream;
            let opened = self.new_stream();
            self.streams.insert(stream, opened);
        }
        let first = Frame { kind: frame::HEADERS, flags: 0, stream, payload: Vec::new() };
        let Some(s) = self.stream(&first)? else { return Ok(()) };
        s.ended = end;
        if s.has_head {
            s.message.trailers = fields;
            if !end {
                return wrong(format!("trailers that do not end stream {stream}"));
            }
        } else {
            let interim = fields.iter().any(|(n, v)| n == ":status" && v.starts_with('1'));
            s.has_head = !interim;
            if interim && end {
                return wrong(format!("an interim answer ends stream {stream}"));
            }
            heard.push(Heard::Head(stream, fields));
        }
        if end {
            heard.push(Heard::End(stream));
        }
        Ok(())
    }

    fn on_reset(&mut self, f: &Frame, heard: &mut Vec<Heard>) -> io::Result<()> {
        let Some(code) = f.number(0).filter(|_| f.payload.len() == 4) else {
            return wrong("a RST_STREAM of a wrong length".to_owned());
        };
        if f.stream == 0 || f.stream > self.last {
            return wrong(format!("RST_STREAM of stream {}, which is idle", f.stream));
        }
        if self.streams.contains_key(&f.stream) {
            heard.push(Heard::Reset(f.stream, code));
        } else {
            self.flow.cut.remove(&f.stream);
        }
        Ok(())
    }

    fn on_settings(&mut self, f: &Frame) -> io::Result<()> {
        if f.has(frame::END) {
            let (change, table) = self.mine.acked()?;
            self.blocks.reader.shrink(table);
            self.streams.values_mut().for_each(|s| s.recv_window += change);
            return Ok(());
        }
        let change = self.theirs.take(&f.payload, &mut self.wire.out)?;
        self.streams.values_mut().for_each(|s| s.send_window += change);
        Ok(())
    }

    fn on_ping(&mut self, f: &Frame, heard: &mut Vec<Heard>) -> io::Result<()> {
        let Some(mark) = f.payload.first_chunk::<8>().filter(|_| f.payload.len() == 8) else {
            return wrong("a PING of a wrong length".to_owned());
        };
        if !f.has(frame::END) {
            put(&mut self.wire.out, frame::PING, frame::END, 0, mark);
            return Ok(());
        }
        let mark = u64::from_be_bytes(*mark);
        if self.pings.pop_front() != Some(mark) {
            return wrong("an answer to a PING that nobody sent".to_owned());
        }
        heard.push(Heard::Pong(mark));
        Ok(())
    }

    fn on_window(&mut self, f: &Frame) -> io::Result<()> {
        let Some(more) = f.number(0).filter(|more| (1..=0x7fff_ffff).contains(more)) else {
            return wrong("WINDOW_UPDATE of 0".to_owned());
        };
        let window = match (f.stream, self.streams.get_mut(&f.stream)) {
            (0, _) => &mut self.flow.send,
            (_, Some(s)) => &mut s.send_window,
            // It crossed the end of its stream.
            (id, None) if id <= self.last => return Ok(()),
            (id, None) => return wrong(format!("WINDOW_UPDATE of stream {id}, which is idle")),
        };
        *window += i64::from(more);
        if *window > 0x7fff_ffff {
            return wrong(format!("a window of {window}"));
        }
        Ok(())
    }
}
