//! From endpoints to clients. Answers of many flows go out in one call at the end of a turn.

use super::super::Worker;
use super::police::admitted;
use crate::counters::{Dropped, Ended};
use hg_net::{Batch, Fd, Offload, Trouble};
use hg_relay::flows::FlowId;
use std::sync::Arc;

/// Answers on their way, all by one socket.
#[derive(Default)]
pub(super) struct Replies {
    batch: Option<Box<Batch>>,
    /// The socket; set while there is something to send.
    by: Option<Arc<Fd>>,
}

impl Replies {
    /// Returns the batch, if there is room in it for answers by this socket.
    fn room(&mut self, fd: &Arc<Fd>, offload: Offload) -> Option<&mut Batch> {
        let batch = self.batch.get_or_insert_with(|| Box::new(Batch::new(offload)));
        let fits = self.by.as_ref().is_none_or(|by| Arc::ptr_eq(by, fd));
        (fits && !batch.is_full()).then_some(batch)
    }
}

impl Worker {
    /// Takes what an endpoint has answered, or that it is unreachable.
    pub(in super::super) fn on_answers(&mut self, index: usize, generation: u32) {
        let id = FlowId { index, generation };
        let Some(fd) = self.udp.flows.get(id).map(|flow| flow.source.fd.clone()) else {
            return;
        };
        let offload = self.shared.flows.offload;
        if self.udp.replies.room(&fd, offload).is_none() {
            self.flush_answers();
        }
        let udp = &mut self.udp;
        let batch = udp.replies.room(&fd, offload);
        let (Some(flow), Some(batch)) = (udp.flows.get_mut(id), batch) else {
            return;
        };
        let Some((aim, up)) = &mut flow.aim else {
            return;
        };
        let range = match batch.receive(&*up) {
            Ok(range) if range.is_empty() => return,
            Ok(range) => range,
            Err(error) => {
                if matches!(Trouble::of(&error), Trouble::Unreachable) {
                    self.lose_endpoint(id, &error);
                }
                return;
            }
        };
        aim.expect_more(up, range.len(), offload);
        batch.address(range.clone(), flow.source.ends);
        let sizes = range.clone().map(|at| batch.size(at));
        let count = admitted(&mut flow.paces.download, sizes, self.now_us);
        self.counters.udp.drop(Dropped::Bandwidth, range.len() - count);
        batch.truncate(range.start + count);
        for at in range.take(count) {
            flow.traffic.from_endpoint(batch.size(at));
        }
        let is_answered = flow.traffic.is_answered(flow.route.then.answers);
        udp.replies.by = Some(fd);
        udp.flows.touch(id, self.now);
        self.note_answer(id);
        if is_answered {
            self.end_flow(id, Ended::Answered);
        }
    }

    /// Sends what has been answered.
    pub(in super::super) fn flush_answers(&mut self) {
        let Some(fd) = self.udp.replies.by.take() else {
            return;
        };
        let Some(batch) = &mut self.udp.replies.batch else {
            return;
        };
        let counters = &self.counters;
        let mut at = 0;
        while at < batch.len() {
            let (sent, result) = batch.reply(&fd, at..batch.len());
            let bytes = (at..at + sent).map(|i| batch.size(i) as u64).sum();
            counters.udp.sent.datagrams.add(sent as u64);
            counters.udp.sent.bytes.add(bytes);
            counters.bytes_sent.add(bytes);
            at += sent;
            let Err(error) = result else {
                break;
            };
            let why = match Trouble::of(&error) {
                Trouble::Blocked => {
                    counters.udp.drop(Dropped::Blocked, batch.len() - at);
                    break;
                }
                Trouble::TooLarge => Dropped::TooLarge,
                Trouble::Unreachable | Trouble::Failed => Dropped::SendFailed,
            };
            counters.udp.drop(why, 1);
            at += 1;
        }
        batch.clear();
        counters.udp.add_joined(batch.take_joined());
    }
}
