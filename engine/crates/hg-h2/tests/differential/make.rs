//! Connections that are often right and sometimes not.

use hg_h2::{Encoder, PREFACE, Sensitivity};

/// Choices: those of a seed, which makes the same input each time, or those that bytes say.
pub struct Rng<'a> {
    state: u64,
    bytes: Option<&'a [u8]>,
}

impl<'a> Rng<'a> {
    #[allow(dead_code, reason = "fuzzing chooses by bytes")]
    pub fn of_seed(seed: u64) -> Self {
        Self { state: seed, bytes: None }
    }

    /// Once the bytes have been used up, nothing rare is chosen any more.
    #[allow(dead_code, reason = "the test chooses by seeds")]
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { state: 0, bytes: Some(bytes) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        let Some(bytes) = self.bytes else { return (self.next() % n as u64) as usize };
        let (mut value, mut reach) = (0, 1);
        let mut rest = bytes;
        while reach < n {
            let Some((byte, after)) = rest.split_first() else { return n - 1 };
            (value, reach, rest) = (value << 8 | usize::from(*byte), reach << 8, after);
        }
        self.bytes = Some(rest);
        value % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const FIELDS: &[(&str, &[u8])] = &[
    ("accept", b"*/*"),
    ("user-agent", b"x/1.0 (y; z)"),
    ("x-a", b""),
    ("x-b", b"\xc3\xa4\xff"),
    ("x-c", b"a\tb"),
    ("cookie", b"a=1"),
    ("cookie", b"b=2"),
    ("te", b"trailers"),
    ("content-length", b"5"),
    ("content-length", b"0"),
    ("host", b"a.example"),
    ("priority", b"u=1, i"),
    ("x_y", b"1"),
    ("content-type", b"application/grpc"),
    ("x!#$%&'*+-.^`|~9", b"1"),
];
const WRONG: &[(&str, &[u8])] = &[
    ("", b"1"),
    ("X-Upper", b"1"),
    ("a b", b"1"),
    ("a\0", b"1"),
    ("x", b"a\r\nb"),
    ("x", b"\0"),
    ("x", b" a"),
    ("x", b"a "),
    ("x", b"\x7f"),
    ("x", b"\x01"),
    ("connection", b"close"),
    ("keep-alive", b"1"),
    ("proxy-connection", b"1"),
    ("transfer-encoding", b"chunked"),
    ("upgrade", b"h2c"),
    ("te", b"gzip"),
    ("content-length", b"6"),
    ("content-length", b"+5"),
    ("content-length", b""),
    ("content-length", b"5, 5"),
    ("host", b"b.example"),
    ("host", b""),
    ("content_length", b"5"),
    (":path", b"/again"),
    (":own", b"1"),
    (":status", b"200"),
    (":protocol", b"websocket"),
    (":protocol", b"connect-udp"),
    (":authority", b"b.example"),
];
const PATHS: &[&[u8]] =
    &[b"/", b"/index.html", b"/a/b?c=d", b"*", b"", b"a", b"/a b", b"/#a", b"/{}"];
const METHODS: &[&[u8]] =
    &[b"GET", b"POST", b"OPTIONS", b"CONNECT", b"get", b"TRACE", b"M-SEARCH", b"G T", b""];
const AUTHORITIES: &[&[u8]] =
    &[b"a.example", b"a.example:80", b"u@a", b"[::1]", b"a b", b"a.example:x"];

/// One peer that sends to a server.
struct Peer<'a> {
    rng: Rng<'a>,
    encoder: Encoder,
    out: Vec<u8>,
    next_id: u32,
}

/// Makes the bytes of one connection.
pub fn connection(rng: Rng<'_>) -> Vec<u8> {
    let mut peer = Peer { rng, encoder: Encoder::new(), out: PREFACE.to_vec(), next_id: 1 };
    peer.frame(4, 0, 0, &[]);
    for _ in 0..1 + peer.rng.below(12) {
        peer.step();
    }
    if peer.rng.one_in(12) {
        let at = PREFACE.len() + peer.rng.below(peer.out.len() - PREFACE.len());
        peer.out[at] ^= 1 << peer.rng.below(8);
    }
    peer.out
}

/// A frame that the peer sends.
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Returns the payload of DATA without its padding.
    pub fn content(&self) -> &'a [u8] {
        match self.payload {
            [pad, rest @ ..] if self.flags & 8 != 0 => {
                rest.get(..rest.len().saturating_sub(usize::from(*pad))).unwrap_or_default()
            }
            all => all,
        }
    }
}

/// Returns the frames that the peer sends; a cut one ends them.
pub fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = &bytes[PREFACE.len()..];
    std::iter::from_fn(move || {
        let [a, b, c, kind, flags, d, e, f, g, after @ ..] = rest else { return None };
        let (payload, next) =
            after.split_at_checked(u32::from_be_bytes([0, *a, *b, *c]) as usize)?;
        rest = next;
        let stream = u32::from_be_bytes([*d, *e, *f, *g]) & 0x7fff_ffff;
        Some(Frame { kind: *kind, flags: *flags, stream, payload })
    })
}

/// Returns the streams on which the peer sends a frame of a type.
pub fn with_frame(bytes: &[u8], wanted: u8) -> Vec<u32> {
    frames(bytes).filter(|frame| frame.kind == wanted).map(|frame| frame.stream).collect()
}

/// Reports whether an `:authority` without a value follows the scheme, as an index.
pub fn has_empty_authority(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == [0x86, 0x81])
}

/// Returns how often the peer acknowledges SETTINGS.
pub fn acknowledgements(bytes: &[u8]) -> usize {
    frames(bytes).filter(|frame| frame.kind == 4 && frame.flags & 1 != 0).count()
}

/// Reports whether the bytes end within a header block or a frame.
pub fn is_unfinished(mut bytes: &[u8]) -> bool {
    bytes = &bytes[PREFACE.len()..];
    let mut open = false;
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes {
        if matches!(kind, 1 | 9) {
            open = flags & 4 == 0;
        }
        let Some(next) = rest.get(u32::from_be_bytes([0, *a, *b, *c]) as usize..) else {
            return true;
        };
        bytes = next;
    }
    open || !bytes.is_empty()
}

/// Reports whether a stream depends on itself.
pub fn has_circle(mut bytes: &[u8]) -> bool {
    bytes = &bytes[PREFACE.len()..];
    while let [a, b, c, kind, flags, d, e, f, g, rest @ ..] = bytes {
        let at = usize::from(*kind == 1 && flags & 8 != 0);
        let depends = *kind == 2 || (*kind == 1 && flags & 0x20 != 0);
        if depends && rest.get(at..at + 4) == Some(&[*d, *e, *f, *g]) {
            return true;
        }
        bytes = rest.get(u32::from_be_bytes([0, *a, *b, *c]) as usize..).unwrap_or_default();
    }
    false
}

impl Peer<'_> {
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        self.out.extend([kind, flags]);
        self.out.extend(stream.to_be_bytes());
        self.out.extend(payload);
    }

    fn any_id(&mut self) -> u32 {
        match self.rng.below(12) {
            0 => 0,
            1 => self.next_id + 1,
            2 => self.next_id,
            _ => 1 + 2 * self.rng.below((self.next_id as usize / 2).max(1)) as u32,
        }
    }

    fn step(&mut self) {
        let rare = self.rng.one_in(6);
        match self.rng.below(if rare { 14 } else { 9 }) {
            0..4 => self.request(),
            4..7 => self.data(),
            7 => self.trailers(),
            8 => {
                let (id, more) = (self.any_id(), self.rng.below(70_000) as u32);
                self.frame(8, 0, id, &more.to_be_bytes());
            }
            9 => {
                let (id, code) = (self.any_id(), self.rng.below(16) as u32);
                self.frame(3, 0, id, &code.to_be_bytes());
            }
            10 => self.settings(),
            11 => self.frame(6, 0, 0, &[7; 8]),
            12 => {
                let (id, flags) = (self.any_id(), self.rng.below(256) as u8);
                let kind = self.rng.of(&[0x21, 0x21, 2, 5, 7, 9]);
                let len = self.rng.of(&[5, 8, 4, 0]);
                self.frame(kind, flags, id, &vec![0; len]);
            }
            _ => {
                let (kind, flags) = (self.rng.below(12) as u8, self.rng.below(256) as u8);
                let payload: Vec<u8> = (0..self.rng.below(20)).map(|i| i as u8).collect();
                let id = self.any_id();
                self.frame(kind, flags, id, &payload);
            }
        }
    }

    fn settings(&mut self) {
        let mut payload = Vec::new();
        for _ in 0..self.rng.below(3) {
            let id = self.rng.of(&[1_u16, 2, 3, 4, 5, 6, 8, 9, 77]);
            let value = self.rng.of(&[0_u32, 1, 100, 16_384, 65_535, 1 << 24, 0x8000_0000]);
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let ack = u8::from(self.rng.one_in(3));
        self.frame(4, ack, 0, &payload);
    }

    fn field(&mut self, block: &mut Vec<u8>, name: &str, value: &[u8]) {
        let secret = if self.rng.one_in(4) { Sensitivity::Secret } else { Sensitivity::Normal };
        self.encoder.field(name.as_bytes(), value, secret, block);
    }

    fn request(&mut self) {
        let mut lines: Vec<(&str, &[u8])> = vec![
            (":method", if self.rng.one_in(8) { self.rng.of(METHODS) } else { b"GET" }),
            (":scheme", if self.rng.one_in(20) { b"ftp" } else { b"http" }),
            (
                ":authority",
                if self.rng.one_in(8) { self.rng.of(AUTHORITIES) } else { b"a.example" },
            ),
            (":path", if self.rng.one_in(8) { self.rng.of(PATHS) } else { b"/" }),
        ];
        for _ in 0..self.rng.below(6) {
            lines.push(self.rng.of(FIELDS));
        }
        match self.rng.below(12) {
            0 => {
                let at = self.rng.below(lines.len());
                lines.remove(at);
            }
            1 | 2 => {
                let at = self.rng.below(lines.len() + 1);
                let line = self.rng.of(WRONG);
                lines.insert(at, line);
            }
            3 => lines.push(self.rng.of(WRONG)),
            _ => {}
        }
        let mut block = Vec::new();
        for (name, value) in lines {
            self.field(&mut block, name, value);
        }
        let id = self.next_id;
        self.next_id += if self.rng.one_in(30) { 4 } else { 2 };
        let end = self.rng.below(2) as u8;
        self.block(id, end, &block);
    }

    fn trailers(&mut self) {
        let mut block = Vec::new();
        for _ in 0..self.rng.below(3) {
            let line = if self.rng.one_in(6) { self.rng.of(WRONG) } else { self.rng.of(FIELDS) };
            self.field(&mut block, line.0, line.1);
        }
        let id = self.any_id();
        let end = u8::from(!self.rng.one_in(8));
        self.block(id, end, &block);
    }

    /// Sends a block: padded, with a priority, in pieces.
    fn block(&mut self, id: u32, end: u8, block: &[u8]) {
        let (mut flags, mut payload) = (end, Vec::new());
        let pad = if self.rng.one_in(6) { self.rng.below(9) } else { 0 };
        if pad > 0 {
            flags |= 8;
            payload.push(pad as u8);
        }
        if self.rng.one_in(6) {
            flags |= 0x20;
            payload.extend([0, 0, 0, self.rng.of(&[0_u8, 3, 99]), 15]);
        }
        let cut = if self.rng.one_in(5) { self.rng.below(block.len() + 1) } else { block.len() };
        payload.extend(&block[..cut]);
        payload.extend(vec![0; pad]);
        if cut == block.len() {
            return self.frame(1, flags | 4, id, &payload);
        }
        self.frame(1, flags, id, &payload);
        let last = if self.rng.one_in(30) { 0 } else { 4 };
        self.frame(9, last, id, &block[cut..]);
    }

    fn data(&mut self) {
        let id = self.any_id();
        let (mut flags, mut payload) = (self.rng.below(2) as u8, Vec::new());
        let pad = if self.rng.one_in(6) { self.rng.below(9) } else { 0 };
        if pad > 0 {
            flags |= 8;
            payload.push(pad as u8);
        }
        let len = self.rng.of(&[0, 1, 5, 5, 5, 6, 300]);
        payload.extend((0..len).map(|i| i as u8));
        payload.extend(vec![0; pad]);
        self.frame(0, flags, id, &payload);
    }
}
