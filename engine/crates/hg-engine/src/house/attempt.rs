//! One check under way: a connection of its own, TLS if the upstream has it, request and answer.

use super::agents;
use super::answer::{self, Answer, Failure};
use super::http2::{Asks, Http2};
use super::plain::{self, Plain};
use crate::snapshot::host_of;
use hg_net::{Address, Event, Fd, Flow};
use hg_plan::{GrpcCheck, HttpCheck, ProxyVersion, UpstreamProtocol};
use hg_proto::Limits;
use hg_relay::proxy_protocol::{write_local, write_unknown};
use hg_resilience::{Reason, Report};
use hg_tls::{ClientSession, ClientTls, Offer, TlsError};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// The facts that a check needs to know about its endpoint.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) http: Option<HttpCheck>,
    pub(super) grpc: Option<GrpcCheck>,
    /// The bytes to send and to expect, if it is neither of these.
    pub(super) plain: Option<Arc<Plain>>,
    /// The text to send to an agent, if this is one.
    pub(super) agent: Option<Arc<str>>,
    pub(super) protocol: UpstreamProtocol,
    /// The PROXY header that tells the endpoint that no client is behind the connection.
    pub(super) proxy: Option<ProxyVersion>,
    /// The endpoint's address as configured.
    pub(super) address: Arc<str>,
    pub(super) targets: Arc<[Address]>,
    pub(super) tls: Option<Arc<ClientTls>>,
    pub(super) limits: Limits,
}

impl Terms {
    /// Returns what a TLS session offers to the endpoint.
    fn offer(&self) -> Offer {
        match self.protocol {
            UpstreamProtocol::H2 => Offer::Http2,
            UpstreamProtocol::Auto if self.grpc.is_some() => Offer::Http2,
            UpstreamProtocol::Auto => Offer::Either,
            UpstreamProtocol::Http1 | UpstreamProtocol::H2c => Offer::Http1,
        }
    }

    /// Returns the host of the request where the check names none.
    fn authority(&self) -> &str {
        match self.address.starts_with("unix:") {
            true => "localhost",
            false => &self.address,
        }
    }

    /// Reports whether the check is a datagram.
    fn is_datagram(&self) -> bool {
        self.plain.as_ref().is_some_and(|plain| plain.is_datagram)
    }

    /// Reports whether a connection is all that is wanted.
    fn wants_connection_alone(&self) -> bool {
        self.agent.is_none() && self.plain.is_none() && self.asks().is_none()
    }

    /// Returns what is asked, over HTTP/2 or HTTP/1.
    fn asks(&self) -> Option<Asks<'_>> {
        let grpc = self.grpc.as_ref().map(Asks::Grpc);
        grpc.or_else(|| self.http.as_ref().map(Asks::Http))
    }
}

/// Most bytes taken in one read.
const READ: usize = 16 * 1024;

/// The result of an attempt that did not fail.
pub(super) enum Passed {
    /// The check passed.
    Check,
    /// An agent said this.
    Agent(Report),
}

/// The state of a check's connection.
enum Stage {
    Connecting,
    Handshake(Box<ClientSession>),
    /// Waits for whether the endpoint takes our certificate.
    Settling(Box<ClientSession>),
    Asking(Option<Box<ClientSession>>),
}

pub(super) struct Attempt {
    pub(super) fd: Fd,
    stage: Stage,
    /// Ciphertext that is not a whole record yet.
    cipher: Vec<u8>,
    /// Bytes to send.
    out: Vec<u8>,
    answer: Answer,
    /// The connection, where the endpoint speaks HTTP/2.
    http2: Option<Box<Http2>>,
    /// The answer so far of an agent, or of an endpoint that was sent bytes.
    line: Vec<u8>,
    report: Option<Report>,
}

impl Attempt {
    /// Begins to connect to one of the targets.
    pub(super) fn connect(target: &Address, terms: &Terms) -> Result<Self, Failure> {
        let made = match terms.is_datagram() {
            true => plain::connect(target),
            false => hg_net::connect(target),
        };
        let fd = made.map_err(|e| not_connected(&e))?;
        let (cipher, out, line, answer) = Default::default();
        let (stage, http2, report) = (Stage::Connecting, None, None);
        Ok(Self { fd, stage, cipher, out, answer, http2, line, report })
    }

    /// Reports whether the connection is not made yet, so that another target may be tried.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting)
    }

    /// Reports whether all that was asked for is there, and the check passes unless the endpoint
    /// refuses the connection after all.
    pub(super) fn is_settling(&self) -> bool {
        matches!(self.stage, Stage::Settling(_))
    }

    /// Returns what came of it, after it passed.
    pub(super) fn passed(&mut self) -> Passed {
        self.report.take().map_or(Passed::Check, Passed::Agent)
    }

    /// Goes on after an event; returns whether the check has passed.
    pub(super) fn on_event(&mut self, event: &Event, terms: &Terms) -> Result<bool, Failure> {
        if self.is_connecting() {
            if !(event.writable || event.closed) {
                return Ok(false);
            }
            hg_net::take_error(&self.fd).map_err(|e| not_connected(&e))?;
            if self.begin(terms)? {
                return Ok(true);
            }
        }
        if terms.is_datagram() {
            return self.receive(terms);
        }
        self.flush()?;
        self.read(terms)
    }

    /// Begins TLS or the request; returns whether the connection alone was asked for.
    fn begin(&mut self, terms: &Terms) -> Result<bool, Failure> {
        match terms.proxy {
            Some(ProxyVersion::V1) => write_unknown(&mut self.out),
            Some(ProxyVersion::V2) => write_local(&mut self.out),
            None => {}
        }
        let Some(tls) = terms.tls.as_ref().filter(|_| !terms.is_datagram()) else {
            self.stage = Stage::Asking(None);
            let passed = self.ask(terms)?;
            if terms.is_datagram() {
                let datagram = std::mem::take(&mut self.out);
                return plain::send(&self.fd, &datagram).map(|()| false);
            }
            // Nothing follows where the connection alone is asked for.
            self.flush()?;
            return Ok(passed);
        };
        let host = host_of(&terms.address).trim_matches(['[', ']']);
        // Where the connection alone is asked for, the endpoint may be one of TCP routes.
        let asks_nothing = terms.agent.is_none() && terms.asks().is_none();
        let session = match terms.offer() {
            Offer::Http1 if asks_nothing => tls.session_for(host, None),
            offer => tls.session_offering(host, offer),
        };
        let mut session = session.map_err(|e| not_secure(&e))?;
        session.start(&mut self.out).map_err(|e| not_secure(&e))?;
        self.stage = Stage::Handshake(Box::new(session));
        Ok(false)
    }

    /// Reports whether the endpoint speaks HTTP/2 on this connection.
    fn speaks_http2(&self, terms: &Terms) -> Result<bool, Failure> {
        let agreed = match &self.stage {
            Stage::Asking(Some(session)) => session.alpn() == Some(b"h2"),
            _ => terms.protocol == UpstreamProtocol::H2c,
        };
        if !agreed && terms.offer() == Offer::Http2 {
            let found = "the endpoint did not agree on HTTP/2 in the TLS handshake";
            return Err(Failure::new(Reason::CheckTls, found));
        }
        Ok(agreed)
    }

    /// Queues the request.
    fn ask(&mut self, terms: &Terms) -> Result<bool, Failure> {
        if let Some(send) = &terms.agent {
            self.queue(send.as_bytes())?;
            return Ok(false);
        }
        if let Some(plain) = &terms.plain {
            self.queue(&plain.send)?;
            return Ok(false);
        }
        let Some(asks) = terms.asks() else {
            return Ok(true);
        };
        let http2 = self.speaks_http2(terms)?;
        let request = match (asks, http2) {
            (Asks::Http(http), false) => answer::request(http, terms.authority()),
            _ => {
                let mut http2 = Http2::ask(asks, terms.authority(), terms)?;
                let request = http2.take_output();
                self.http2 = Some(Box::new(http2));
                request
            }
        };
        self.queue(&request)?;
        Ok(false)
    }

    /// Queues bytes.
    fn queue(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.stage {
            Stage::Asking(Some(session)) => {
                session.send(bytes, &mut self.out).map_err(|e| not_secure(&e))
            }
            _ => {
                self.out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while !self.out.is_empty() {
            match hg_net::write(&self.fd, &self.out).map_err(|e| lost(&e))? {
                Flow::Bytes(n) => drop(self.out.drain(..n)),
                Flow::Blocked | Flow::End => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes the answer to a datagram, if it is there: the first one decides.
    fn receive(&mut self, terms: &Terms) -> Result<bool, Failure> {
        let Some(plain) = &terms.plain else {
            return Ok(false);
        };
        let mut buffer = vec![0; plain::DATAGRAM];
        match plain::receive(&self.fd, &mut buffer)? {
            Some(n) => plain.judge(buffer.get(..n).unwrap_or_default(), true),
            None => Ok(false),
        }
    }

    /// Reads all that is there.
    fn read(&mut self, terms: &Terms) -> Result<bool, Failure> {
        let mut buffer = vec![0; READ];
        loop {
            let n = match hg_net::read(&self.fd, &mut buffer).map_err(|e| self.lost(&e))? {
                Flow::Bytes(n) => n,
                Flow::Blocked => return Ok(false),
                Flow::End => return self.ended(terms),
            };
            let bytes = buffer.get_mut(..n).unwrap_or_default();
            if self.take(bytes, terms)? {
                return Ok(true);
            }
        }
    }

    /// Handles the end of the connection; returns whether the check has passed.
    fn ended(&mut self, terms: &Terms) -> Result<bool, Failure> {
        match (&terms.plain, &self.stage) {
            _ if terms.agent.is_some() => self.heard(&[], true),
            (Some(plain), Stage::Asking(_)) => plain.end(&self.line),
            _ => Err(self.at_end()),
        }
    }

    /// Says that the connection broke off: where it settles, the reset may have overtaken the alert.
    fn lost(&self, error: &io::Error) -> Failure {
        match self.is_settling() {
            true => Failure::new(Reason::CheckTls, error.to_string()),
            false => lost(error),
        }
    }

    fn at_end(&self) -> Failure {
        match &self.stage {
            Stage::Asking(_) => self.http2.as_ref().map_or_else(|| self.answer.end(), |h| h.end()),
            Stage::Settling(_) => {
                Failure::new(Reason::CheckTls, "the connection closed after the TLS handshake")
            }
            _ => Failure::new(Reason::CheckTls, "the connection closed in the TLS handshake"),
        }
    }

    fn take(&mut self, bytes: &mut [u8], terms: &Terms) -> Result<bool, Failure> {
        if let Stage::Asking(None) = self.stage {
            return self.answered(bytes, terms);
        }
        self.cipher.extend_from_slice(bytes);
        let mut plain = Vec::new();
        let (Stage::Handshake(session) | Stage::Settling(session) | Stage::Asking(Some(session))) =
            &mut self.stage
        else {
            return Ok(false);
        };
        let received = session.receive(&mut self.cipher, &mut plain, &mut self.out);
        let sent = self.flush();
        let received = received.map_err(|e| not_secure(&e))?;
        sent?;
        self.cipher.drain(..received.consumed);
        if self.is_settling() {
            // A ticket, a byte, or an end in good order: all of them come after our certificate.
            return Ok(received.consumed > 0 || received.peer_closed);
        }
        if received.handshake_done && self.has_shaken_hands(terms)? {
            return Ok(true);
        }
        if !plain.is_empty() && self.answered(&mut plain, terms)? {
            return Ok(true);
        }
        if received.peer_closed { self.ended(terms) } else { Ok(false) }
    }

    /// Asks what there is to ask once the handshake is over; returns whether the check has passed.
    ///
    /// In TLS 1.3 a client's handshake is over before its server has seen the certificate (RFC 8446
    /// §4.4.2, appendix E.1.2): where nothing is asked, no answer shows whether it is taken.
    fn has_shaken_hands(&mut self, terms: &Terms) -> Result<bool, Failure> {
        let session = match std::mem::replace(&mut self.stage, Stage::Connecting) {
            Stage::Handshake(session) => session,
            other => {
                self.stage = other;
                return Ok(false);
            }
        };
        if terms.wants_connection_alone() && session.is_ended_by_client() {
            self.stage = Stage::Settling(session);
            return Ok(false);
        }
        self.stage = Stage::Asking(Some(session));
        if self.ask(terms)? {
            return Ok(true);
        }
        self.flush()?;
        Ok(false)
    }

    /// Takes more of an agent's answer; returns whether it is whole.
    fn heard(&mut self, bytes: &[u8], is_whole: bool) -> Result<bool, Failure> {
        self.line.extend_from_slice(bytes);
        self.report = agents::read(&self.line, is_whole).transpose()?;
        Ok(self.report.is_some())
    }

    fn answered(&mut self, bytes: &mut [u8], terms: &Terms) -> Result<bool, Failure> {
        if terms.agent.is_some() {
            return self.heard(bytes, false);
        }
        if let Some(plain) = &terms.plain {
            self.line.extend_from_slice(bytes);
            return plain.judge(&self.line, false);
        }
        let Some(http2) = &mut self.http2 else {
            return match &terms.http {
                Some(http) => self.answer.feed(http, &terms.limits, bytes),
                None => Ok(true),
            };
        };
        let Some(asks) = terms.asks() else {
            return Ok(true);
        };
        let passed = http2.feed(asks, bytes)?;
        let reply = http2.take_output();
        self.queue(&reply)?;
        self.flush()?;
        Ok(passed)
    }
}

fn not_connected(error: &io::Error) -> Failure {
    let no_route = matches!(
        error.kind(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown
    );
    let reason = if no_route { Reason::CheckNoRoute } else { Reason::CheckConnect };
    Failure::new(reason, error.to_string())
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(Reason::CheckLost, error.to_string())
}

fn not_secure(error: &TlsError) -> Failure {
    Failure::new(Reason::CheckTls, error.to_string())
}
