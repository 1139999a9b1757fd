//! The handshake: converts the steps of rustls' unbuffered API to "take these bytes, append those",
//! in one loop for both sides.

use crate::channel::Role;
use crate::{Received, TlsError, TlsErrorKind, alert};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{CommonState, Error, ExtractedSecrets, ProtocolVersion};

/// Either side of an unbuffered connection.
pub(crate) trait Connection: Sized {
    type Data;
    type Kernel: Role;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn common(&self) -> &CommonState;
    fn into_kernel(self) -> Result<(ExtractedSecrets, Self::Kernel), Error>;
}

impl Connection for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    type Kernel = KernelConnection<ServerConnectionData>;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
    fn common(&self) -> &CommonState {
        self
    }
    fn into_kernel(self) -> Result<(ExtractedSecrets, Self::Kernel), Error> {
        self.dangerous_into_kernel_connection()
    }
}

impl Connection for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    type Kernel = KernelConnection<ClientConnectionData>;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
    fn common(&self) -> &CommonState {
        self
    }
    fn into_kernel(self) -> Result<(ExtractedSecrets, Self::Kernel), Error> {
        self.dangerous_into_kernel_connection()
    }
}

/// Feeds `input` to the connection until it needs more, appending what it yields.
///
/// # Errors
/// If the connection failed; its alert has been appended to `out`.
pub(crate) fn receive<C: Connection>(
    conn: &mut C,
    input: &mut [u8],
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Received, TlsError> {
    let mut done = Received::default();
    loop {
        let rest = input.get_mut(done.consumed..).unwrap_or_default();
        let UnbufferedStatus { discard, state, .. } = conn.process(rest);
        let next = match state {
            Ok(state) => step(state, plain, out)?,
            Err(e) => {
                let rest = input.get_mut(done.consumed + discard..).unwrap_or_default();
                return Err(failed(conn, e, rest, out));
            }
        };
        done.consumed += discard;
        match next {
            Next::Again(discard) => done.consumed += discard,
            Next::PeerClosed => done.peer_closed = true,
            Next::MoreInput => {
                done.handshake_done = !conn.common().is_handshaking();
                return Ok(done);
            }
        }
    }
}

/// The continuation after a step.
enum Next {
    /// Another step, once so many more bytes of the input are dropped.
    Again(usize),
    /// Another step, and the peer sends nothing more.
    PeerClosed,
    /// Nothing before there is more input.
    MoreInput,
}

fn step<Data>(
    state: ConnectionState<'_, '_, Data>,
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<Next, TlsError> {
    let mut discard = 0;
    match state {
        ConnectionState::ReadTraffic(mut records) => {
            while let Some(record) = records.next_record() {
                let record = record?;
                plain.extend_from_slice(record.payload);
                discard += record.discard;
            }
        }
        ConnectionState::EncodeTlsData(data) => encode(data, out)?,
        ConnectionState::TransmitTlsData(data) => data.done(),
        ConnectionState::PeerClosed => return Ok(Next::PeerClosed),
        // Early data is never accepted (`max_early_data_size` is 0), so none can be here.
        ConnectionState::ReadEarlyData(_) => {
            return Err(TlsError::new(TlsErrorKind::Internal, "early data was not offered"));
        }
        _ => return Ok(Next::MoreInput),
    }
    Ok(Next::Again(discard))
}

/// Appends what the connection sends at its end; `rest` is the input from where it failed.
fn failed<C: Connection>(
    conn: &mut C,
    error: Error,
    rest: &mut [u8],
    out: &mut Vec<u8>,
) -> TlsError {
    let said = out.len();
    flush(conn, rest, out);
    let is_silent = out.len() == said && !matches!(error, Error::AlertReceived(_));
    if is_silent && conn.common().protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        // A few errors of rustls' deframer come without an alert; nothing is protected yet.
        alert::write_plain(out, alert::DECODE_ERROR);
    }
    error.into()
}

/// Appends what a failed connection still has to send. rustls keeps offsets into the bytes it was
/// given, so it gets them again, but it sends before it reads any of them.
fn flush<C: Connection>(conn: &mut C, rest: &mut [u8], out: &mut Vec<u8>) {
    while conn.common().wants_write() {
        match conn.process(rest).state {
            Ok(ConnectionState::EncodeTlsData(data)) => {
                if encode(data, out).is_err() {
                    return;
                }
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            _ => return,
        }
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<(), TlsError> {
    let needed = match data.encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncodeError::InsufficientSize(e)) => e.required_size,
        Err(e) => return Err(TlsError::new(TlsErrorKind::Internal, e.to_string())),
    };
    let start = out.len();
    out.resize(start + needed, 0);
    data.encode(out.get_mut(start..).unwrap_or_default())
        .map(|_| ())
        .map_err(|e| TlsError::new(TlsErrorKind::Internal, e.to_string()))
}
