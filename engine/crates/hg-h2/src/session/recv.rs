//! All frames but those of header blocks, as they come in.

use super::{FIRST_WINDOW, Phase, Session};
use crate::close::{Close, Code, Reason};
use crate::event::{By, Event};
use crate::fault::{Fault, faults};
use crate::flood::Cheap;
use crate::frame::{self, ACK, END_STREAM, Header};
use crate::limits::Role;
use crate::priority::Priority;
use crate::streams::{Half, Stream};

impl Session {
    pub(super) fn data_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        start: usize,
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        let (id, end) = (header.stream, header.has(END_STREAM));
        // The whole payload counts, and the connection gets it back whatever becomes of it.
        let flow = Close::flow(Reason::ConnectionWindow);
        self.window.recv.receive(header.len).map_err(|_| flow)?;
        let inner = frame::unpad(header, payload)?;
        if let Some(more) = self.window.recv.credit(header.len) {
            self.out.window_update(0, more);
        }
        self.flood.data(inner.len(), end)?;
        if self.is_idle(id) {
            return Err(Close::protocol(Reason::IdleStream));
        }
        let Some(stream) = self.streams.get_mut(id) else {
            return self.late_data(id, now_ms);
        };
        if stream.gone {
            return self.after_reset(id);
        }
        if let Err((code, fault)) = accept(stream, header.len, inner.len(), end) {
            return self.stream_error(id, code, fault);
        }
        let is_discarded = stream.recv == Half::Discard;
        let padding = if is_discarded { header.len } else { header.len - inner.len() as u32 };
        if end {
            stream.recv = Half::Ended;
            self.settle(id);
        } else if padding > 0
            && let Some(more) = stream.recv_window.credit(padding)
        {
            self.out.window_update(id, more);
        }
        if is_discarded || (inner.is_empty() && !end) {
            return Ok(None);
        }
        let range = start + inner.start..start + inner.end;
        Ok(Some(Event::Data { stream: id, range, end }))
    }

    /// Handles a frame for a stream that was reset: dropped if we reset it and the peer may not know
    /// yet, an error if the peer did (RFC 9113 §5.1).
    pub(super) fn after_reset(&mut self, id: u32) -> Result<Option<Event>, Close> {
        if self.streams.get(id).is_some_and(|stream| stream.cut_by_peer) {
            return self.stream_error(id, Code::STREAM_CLOSED, None);
        }
        Ok(None)
    }

    /// Handles DATA for a stream that is over: dropped if we cut it off lately. That is no reset of the
    /// stream: it was answered, or charged when it ended.
    fn late_data(&mut self, id: u32, now_ms: u64) -> Result<Option<Event>, Close> {
        if self.may_be_late(id) {
            return Ok(None);
        }
        self.flood.cheap(Cheap::Other, now_ms)?;
        self.out.reset(id, Code::STREAM_CLOSED);
        self.streams.remember(id);
        Ok(None)
    }

    pub(super) fn rst_stream(
        &mut self,
        header: &Header,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        let (id, code) = (header.stream, Code(frame::u32_at(payload, 0)));
        if self.is_idle(id) {
            return Err(Close::protocol(Reason::IdleStream));
        }
        let is_answered = self.streams.get(id).is_none_or(|s| s.send == Half::Ended);
        if !self.cut(id) {
            let has_crossed = self.may_be_late(id);
            self.streams.forget_recent(id);
            let paid = match has_crossed {
                true => self.flood.late(now_ms),
                false => self.flood.cheap(Cheap::Other, now_ms),
            };
            return paid.map(|()| None);
        }
        if let Some(stream) = self.streams.get_mut(id) {
            stream.cut_by_peer = true;
        }
        if !is_answered {
            self.flood.reset()?;
        }
        Ok(Some(Event::Reset { stream: id, code, by: By::Peer }))
    }

    pub(super) fn settings_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        self.flood.cheap(Cheap::Settings, now_ms)?;
        if header.has(ACK) {
            let first = !std::mem::replace(&mut self.settings.acked, true);
            if first {
                self.shrink_windows();
            }
            return Ok(first.then_some(Event::SettingsAcked));
        }
        let before = self.settings.peer.initial_window_size;
        self.settings.peer.read(payload, self.role)?;
        let peer = self.settings.peer;
        self.hpack.encoder.set_peer_max(peer.header_table_size as usize);
        self.shift_windows(i64::from(peer.initial_window_size) - i64::from(before))?;
        self.out.settings_ack();
        self.phase = Phase::Open;
        Ok(Some(Event::Settings))
    }

    /// Applies a change of the initial window to all streams (RFC 9113 §6.9.2).
    /// Takes our smaller initial window as that of streams that are older than the peer's
    /// acknowledgement: so it does, too (RFC 9113 §6.9.2).
    fn shrink_windows(&mut self) {
        let less = FIRST_WINDOW.saturating_sub(self.settings.local.initial_window_size);
        if less == 0 || self.role == Role::Client {
            return;
        }
        let out = &mut self.out;
        self.streams.each(|_, stream| {
            let more = stream.recv_window.shrink(less);
            if let Some(more) = more.filter(|_| !stream.gone && stream.recv != Half::Ended) {
                out.window_update(stream.id, more);
            }
        });
    }

    fn shift_windows(&mut self, change: i64) -> Result<(), Close> {
        if change == 0 {
            return Ok(());
        }
        let (mut overflow, sched) = (false, &mut self.sched);
        self.streams.each(|slot, stream| {
            overflow |= stream.send_window.add(change).is_err();
            if stream.wants && stream.send_window.open() > 0 {
                sched.push(slot, stream.priority);
            }
        });
        if overflow { Err(Close::flow(Reason::SettingsWindow)) } else { Ok(()) }
    }

    pub(super) fn ping_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        self.flood.cheap(Cheap::Ping, now_ms)?;
        let Some(data) = payload.first_chunk::<8>().copied() else { return Ok(None) };
        if !header.has(ACK) {
            self.out.ping(data, true);
            return Ok(None);
        }
        if self.away.is_own_ping(data) {
            self.finish();
            return Ok(None);
        }
        Ok(Some(Event::Pong(data)))
    }

    pub(super) fn go_away_frame(
        &mut self,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        self.flood.cheap(Cheap::Other, now_ms)?;
        let (last, code) = (frame::u31(payload), Code(frame::u32_at(payload, 4)));
        if self.away.received.is_some_and(|before| last > before) {
            return Err(Close::protocol(Reason::GoawayLast));
        }
        self.away.received = Some(last);
        Ok(Some(Event::GoAway { last, code }))
    }

    pub(super) fn window_update(
        &mut self,
        header: &Header,
        payload: &[u8],
    ) -> Result<Option<Event>, Close> {
        self.flood.window_update()?;
        let (id, more) = (header.stream, i64::from(frame::u31(payload)));
        if id == 0 {
            if more == 0 {
                return Err(Close::protocol(Reason::WindowUpdateZero));
            }
            let overflow = Close::flow(Reason::ConnectionWindow);
            return self.window.send.add(more).map_err(|_| overflow).map(|()| None);
        }
        if self.is_idle(id) {
            return Err(Close::protocol(Reason::IdleStream));
        }
        let Some(slot) = self.streams.slot(id) else { return Ok(None) };
        let Some(stream) = self.streams.at_mut(slot).filter(|s| !s.gone) else { return Ok(None) };
        if more == 0 {
            return self.stream_error(id, Code::PROTOCOL_ERROR, None);
        }
        if stream.send_window.add(more).is_err() {
            return self.stream_error(id, Code::FLOW_CONTROL_ERROR, None);
        }
        if stream.wants && stream.send_window.open() > 0 {
            self.sched.push(slot, stream.priority);
        }
        Ok(None)
    }

    /// Ignores the priorities of RFC 7540, but for a stream that depends on itself.
    pub(super) fn priority_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        self.flood.cheap(Cheap::Priority, now_ms)?;
        if frame::u31(payload) == header.stream {
            return self.stream_error(header.stream, Code::PROTOCOL_ERROR, None);
        }
        Ok(None)
    }

    pub(super) fn priority_update(
        &mut self,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event>, Close> {
        self.flood.cheap(Cheap::Priority, now_ms)?;
        let id = frame::u31(payload);
        if self.role == Role::Client || id == 0 || id.is_multiple_of(2) {
            return Err(Close::protocol(Reason::PriorityUpdate));
        }
        let priority = Priority::read(payload.get(4..).unwrap_or_default());
        if self.is_idle(id) {
            let most = self.limits.streams as usize;
            self.streams.keep_priority(id, priority, most);
        } else {
            self.prioritise(id, priority);
        }
        Ok(None)
    }
}

/// Checks DATA against the state of its stream, its window and the declared length.
fn accept(
    stream: &mut Stream,
    len: u32,
    content: usize,
    end: bool,
) -> Result<(), (Code, Option<Fault>)> {
    match stream.recv {
        Half::Head => return Err((Code::PROTOCOL_ERROR, None)),
        Half::Ended => return Err((Code::STREAM_CLOSED, None)),
        Half::Body | Half::Discard => {}
    }
    stream.recv_window.receive(len).map_err(|_| (Code::FLOW_CONTROL_ERROR, None))?;
    if stream.recv == Half::Discard {
        return Ok(());
    }
    if stream.bodiless && content > 0 {
        return Err((Code::PROTOCOL_ERROR, Some(faults::BODY_FORBIDDEN)));
    }
    if let Some(left) = &mut stream.left {
        match left.checked_sub(content as u64) {
            Some(rest) if rest == 0 || !end => *left = rest,
            _ => return Err((Code::PROTOCOL_ERROR, Some(faults::CONTENT_LENGTH_BODY))),
        }
    }
    Ok(())
}
