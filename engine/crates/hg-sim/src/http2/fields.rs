//! Header blocks. The writer is the simulator's own, with a table of its own; the reader is that of
//! `hg-h2`, which other tests hold against the `h2` crate.

use hg_h2::{BlockLimits, Decoder, Text};
use hg_net::Rng;

/// Names and values.
pub(crate) type Fields = Vec<(String, String)>;

/// Entries of the static table (RFC 7541, appendix A).
const STATIC: usize = 61;
/// The cost of an entry beside its octets (RFC 7541 §4.1).
const OVERHEAD: usize = 32;
/// The size of the table that both sides begin with, which the worker does not change.
const TABLE: usize = 4096;

/// Writes blocks as chance wants: indexed, literal, with changes of the table's size.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Newest first.
    table: Vec<(String, String)>,
    most: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self { table: Vec::new(), most: TABLE }
    }
}

impl Writer {
    /// Returns a block.
    pub(crate) fn block(&mut self, fields: &[(String, String)], rng: &mut Rng) -> Vec<u8> {
        let mut out = Vec::new();
        if rng.chance(100) {
            self.most = usize::try_from(rng.size(TABLE as u64)).unwrap_or(0);
            self.evict();
            integer(&mut out, 0x20, 5, self.most);
        }
        for (name, value) in fields {
            self.field(name, value, rng, &mut out);
        }
        out
    }

    fn field(&mut self, name: &str, value: &str, rng: &mut Rng, out: &mut Vec<u8>) {
        let whole = self.table.iter().position(|(n, v)| n == name && v == value);
        if let Some(at) = whole.filter(|_| rng.chance(900)) {
            return integer(out, 0x80, 7, STATIC + 1 + at);
        }
        let indexed = rng.chance(400);
        let (first, bits) = match (indexed, rng.chance(500)) {
            (true, _) => (0x40, 6),
            (false, true) => (0, 4),
            (false, false) => (0x10, 4),
        };
        let named = self.table.iter().position(|(n, _)| n == name);
        match named.filter(|_| rng.chance(800)) {
            Some(at) => integer(out, first, bits, STATIC + 1 + at),
            None => {
                integer(out, first, bits, 0);
                string(out, name);
            }
        }
        string(out, value);
        if indexed {
            self.table.insert(0, (name.to_owned(), value.to_owned()));
            self.evict();
        }
    }

    fn evict(&mut self) {
        let size = |t: &[(String, String)]| -> usize {
            t.iter().map(|(n, v)| n.len() + v.len() + OVERHEAD).sum()
        };
        while size(&self.table) > self.most {
            self.table.pop();
        }
    }
}

fn integer(out: &mut Vec<u8>, first: u8, bits: u32, mut n: usize) {
    let most = (1_usize << bits) - 1;
    if n < most {
        return out.push(first | n as u8);
    }
    out.push(first | most as u8);
    n -= most;
    while n >= 128 {
        out.push((n % 128) as u8 | 128);
        n /= 128;
    }
    out.push(n as u8);
}

fn string(out: &mut Vec<u8>, text: &str) {
    integer(out, 0, 7, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Reads blocks.
#[derive(Debug)]
pub(crate) struct Reader {
    decoder: Decoder,
    /// The size that the worker's table may have, and the one to which it has to be made smaller
    /// first.
    table: usize,
    least: Option<usize>,
    text: Text,
}

impl Reader {
    /// Makes a reader whose table may have as many bytes as its owner will ever announce.
    pub(crate) fn new(most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(TABLE).max(TABLE);
        Self { decoder: Decoder::new(most), table: TABLE, least: None, text: Text::new() }
    }

    /// Notes the size that the worker's table may have. If it is smaller, the next block begins with
    /// the change (RFC 7541 §4.2).
    pub(crate) fn shrink(&mut self, table: u32) {
        // The worker may stay at the first size where it may have more.
        let table = usize::try_from(table).unwrap_or(TABLE).min(TABLE);
        if table < self.table {
            self.least = Some(self.least.map_or(table, |least| least.min(table)));
        }
        self.table = table;
    }

    /// Checks that a block begins with the change of the table's size that is due.
    fn changes_size(&mut self, block: &[u8]) -> bool {
        let Some(least) = self.least.take() else { return true };
        let Some((first, rest)) = block.split_first().filter(|(b, _)| *b & 0xe0 == 0x20) else {
            return false;
        };
        let mut size = usize::from(first & 0x1f);
        for (at, b) in rest.iter().take(4).enumerate().take_while(|_| first & 0x1f == 0x1f) {
            size += usize::from(b & 0x7f) << (7 * at);
            if b & 0x80 == 0 {
                break;
            }
        }
        size <= least
    }

    pub(crate) fn block(&mut self, block: &[u8]) -> Result<Fields, String> {
        if !self.changes_size(block) {
            return Err("it does not make the table smaller".to_owned());
        }
        let limits = BlockLimits { fields: 1000, bytes: 1 << 20 };
        let read = self.decoder.block(block, &mut self.text, limits);
        read.map_err(|close| close.reason.text().to_owned())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(self.text.iter().map(|f| (text(f.name), text(f.value))).collect())
    }
}
