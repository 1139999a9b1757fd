//! A client that opens one session after the other.

use crate::body::Way;
use crate::tcp::book::Book;
use crate::tcp::side::{Part, Side};
use crate::world::{Actor, Cx, LISTENER_PORT, Stir};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// Begins the next session after a pause.
const NEXT: u8 = 9;

pub(crate) struct Client {
    /// Its sessions, by number.
    parts: VecDeque<(usize, Part)>,
    rest_us: u64,
    side: Option<Side>,
    book: Rc<RefCell<Book>>,
}

impl Client {
    pub(crate) fn new(
        parts: VecDeque<(usize, Part)>,
        rest_us: u64,
        book: Rc<RefCell<Book>>,
    ) -> Self {
        Self { parts, rest_us, side: None, book }
    }

    fn next(&mut self, cx: &mut Cx<'_>) {
        self.side = None;
        let Some((id, part)) = self.parts.pop_front() else {
            *cx.finished += 1;
            return;
        };
        let first = self.book.borrow().starts.get(id).map(|start| start.first());
        let ip = Ipv4Addr::from(0x0a01_0000 + u32::try_from(id).unwrap_or(0));
        let socket = hg_net::dial(ip, LISTENER_PORT);
        cx.own(socket);
        let first = first.unwrap_or_default();
        let book = self.book.clone();
        self.side = Some(Side::new((Way::Up, id), (socket, 0), (part, &first), book));
    }
}

impl Actor for Client {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        if matches!(what, Stir::Begin | Stir::Timer(NEXT)) {
            self.next(cx);
            return Ok(());
        }
        let Some(side) = &mut self.side else { return Ok(()) };
        side.on(cx, what)?;
        if side.is_over() {
            self.side = None;
            cx.soon(NEXT, self.rest_us);
        }
        Ok(())
    }

    fn state(&self) -> String {
        let side = self.side.as_ref().map(Side::state);
        format!("client with {} more sessions: {side:?}", self.parts.len())
    }
}

/// A connection to an endpoint.
pub(crate) struct Endpoint(pub(crate) Side);

impl Actor for Endpoint {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        self.0.on(cx, what)
    }

    fn state(&self) -> String {
        self.0.state()
    }
}
