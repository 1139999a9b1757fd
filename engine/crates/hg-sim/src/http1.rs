//! A reader of HTTP/1 that shares no code with the engine's.

/// A head and what came of its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn has(&self, name: &str, word: &str) -> bool {
        self.field(name).is_some_and(|v| v.to_ascii_lowercase().contains(word))
    }

    /// Takes a line of trailers; returns what follows, nothing if it is nonsense.
    fn take_trailer(&mut self, line: &str) -> Option<Framing> {
        if line.is_empty() {
            return Some(Framing::Length(0));
        }
        let (name, value) = line.split_once(':')?;
        self.trailers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        Some(Framing::Trailers)
    }

    /// Returns the status of an answer; 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Reports whether trailers could come with it.
    pub(crate) fn carries_trailers(&self) -> bool {
        self.first.contains("HTTP/2") || self.has("transfer-encoding", "chunked")
    }

    /// Returns the number of the request to which this belongs.
    pub(crate) fn id(&self) -> Option<usize> {
        let path = self.first.split(' ').nth(1).and_then(|p| p.strip_prefix("/r/"));
        path.or_else(|| self.field("x-id"))?.parse().ok()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    /// Bytes left of the chunk with its end; `None` before its size.
    Chunked(Option<usize>),
    Trailers,
    Close,
}

/// The result of a reader's step.
#[derive(Debug)]
pub(crate) enum Step {
    More,
    /// A head; its body follows.
    Head(Message),
    /// The end of the message.
    Done(Message),
    Bad(String),
}

/// Reads messages one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) input: Vec<u8>,
    at: usize,
    current: Option<(Message, Framing)>,
}

impl Reader {
    /// Makes a reader of a connection whose first bytes have come.
    pub(crate) fn new(input: Vec<u8>) -> Self {
        Self { input, ..Self::default() }
    }

    /// Reports whether a message has begun.
    pub(crate) fn is_amid(&self) -> bool {
        self.current.is_some() || self.at < self.input.len()
    }

    /// Goes on. `ended` says that no more bytes come in; `bare` that answers have no body.
    pub(crate) fn next(&mut self, ended: bool, bare: bool) -> Step {
        match self.current.take() {
            Some((message, framing)) => self.body(message, framing, ended),
            None => self.head(bare),
        }
    }

    /// Takes what came behind the last message.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        self.take(self.rest().len())
    }

    fn rest(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.rest().get(..n).unwrap_or_default().to_vec();
        self.at += taken.len();
        if self.at > 64 * 1024 || self.at == self.input.len() {
            self.input.drain(..self.at);
            self.at = 0;
        }
        taken
    }

    fn line(&mut self) -> Option<String> {
        let n = self.rest().windows(2).position(|w| w == b"\r\n")?;
        let line = self.take(n + 2);
        Some(String::from_utf8_lossy(line.get(..n).unwrap_or_default()).into_owned())
    }

    fn head(&mut self, bare: bool) -> Step {
        let Some(n) = self.rest().windows(4).position(|w| w == b"\r\n\r\n") else {
            return Step::More;
        };
        let text = self.take(n + 4);
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|l| l.split_once(':'));
        let fields = fields.map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned())).collect();
        let message = Message { first, fields, ..Message::default() };
        match framing(&message, bare) {
            Ok(framing) => {
                self.current = Some((message.clone(), framing));
                Step::Head(message)
            }
            Err(why) => Step::Bad(why),
        }
    }

    /// Reads of a chunk of which `left` bytes are left with its end; returns how many are left then,
    /// nothing if its end is wrong.
    fn chunk(&mut self, left: usize, body: &mut Vec<u8>) -> Option<usize> {
        let got = self.take(left.min(self.rest().len()));
        let data = got.len().min(left.saturating_sub(2));
        body.extend_from_slice(got.get(..data)?);
        let wanted = b"\r\n".get(2 - left.min(2)..)?;
        wanted.starts_with(got.get(data..)?).then(|| left - got.len())
    }

    fn body(&mut self, mut message: Message, mut framing: Framing, ended: bool) -> Step {
        loop {
            match framing {
                Framing::Length(0) => return Step::Done(message),
                Framing::Length(left) => {
                    let got = self.take(left.min(self.rest().len()));
                    message.body.extend_from_slice(&got);
                    framing = Framing::Length(left - got.len());
                    if got.is_empty() {
                        break;
                    }
                }
                Framing::Close => {
                    let got = self.take(self.rest().len());
                    message.body.extend_from_slice(&got);
                    if ended {
                        return Step::Done(message);
                    }
                    break;
                }
                Framing::Chunked(None) => {
                    let Some(line) = self.line() else { break };
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let Ok(size) = usize::from_str_radix(size, 16) else {
                        return Step::Bad(format!("chunk size {line:?}"));
                    };
                    framing = if size == 0 {
                        Framing::Trailers
                    } else {
                        Framing::Chunked(Some(size + 2))
                    };
                }
                Framing::Chunked(Some(left)) => match self.chunk(left, &mut message.body) {
                    None => return Step::Bad("a chunk without its end".to_owned()),
                    Some(now) if now == left => break,
                    Some(0) => framing = Framing::Chunked(None),
                    Some(now) => framing = Framing::Chunked(Some(now)),
                },
                Framing::Trailers => {
                    let Some(line) = self.line() else { break };
                    framing = match message.take_trailer(&line) {
                        Some(next) => next,
                        None => return Step::Bad(format!("trailer {line:?}")),
                    };
                }
            }
        }
        self.current = Some((message, framing));
        Step::More
    }
}

fn framing(message: &Message, bare: bool) -> Result<Framing, String> {
    let is_answer = message.first.starts_with("HTTP/");
    if is_answer && (bare || message.status() < 200 || [204, 304].contains(&message.status())) {
        return Ok(Framing::Length(0));
    }
    if message.field("transfer-encoding").is_some() {
        if message.field("content-length").is_some() {
            return Err("a length and chunks".to_owned());
        }
        return Ok(Framing::Chunked(None));
    }
    match message.field("content-length") {
        Some(n) => n.parse().map(Framing::Length).map_err(|_| format!("length {n:?}")),
        None if is_answer => Ok(Framing::Close),
        None => Ok(Framing::Length(0)),
    }
}

/// Returns a body in chunks of random sizes, with its trailers.
pub(crate) fn chunked(
    body: &[u8],
    trailers: &[(String, String)],
    rng: &mut hg_net::Rng,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut rest = body;
    while !rest.is_empty() {
        let most = (rest.len() / 8).max(64) as u64;
        let n = usize::try_from(rng.between(1, most)).unwrap_or(1).min(rest.len());
        let (chunk, left) = rest.split_at(n);
        out.extend_from_slice(format!("{n:x}\r\n").as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = left;
    }
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}
