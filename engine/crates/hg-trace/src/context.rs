//! The header `traceparent` (W3C Trace Context, Level 2, §3.2).

/// The flag of a trace that is recorded.
pub const SAMPLED: u8 = 1;
/// The flag of a trace whose id is random in its last 56 bits (Level 2).
pub const RANDOM: u8 = 2;
/// Length of a value of version 00, bytes.
pub const PARENT_BYTES: usize = 55;

/// Longest value of a later version that is looked at, bytes.
const MOST_BYTES: usize = 256;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span that the next one is a child of; never 0.
    pub span_id: u64,
    /// [`SAMPLED`] and [`RANDOM`]; other flags are not passed on.
    pub flags: u8,
}

impl Context {
    /// Reads a value. Of a later version it takes what version 00 has, as the standard says; of
    /// anything else nothing.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(PARENT_BYTES)?;
        let version = hex(known.get(..2)?)?;
        let is_apart = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|b| *b == b'-') && value.len() <= MOST_BYTES,
        };
        if !is_apart || !fits {
            return None;
        }
        let trace_id = hex(known.get(3..35)?)?;
        let span_id = u64::try_from(hex(known.get(36..52)?)?).ok()?;
        let flags = hex(known.get(53..55)?)? as u8 & (SAMPLED | RANDOM);
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags })
    }

    /// Begins a trace with random numbers.
    pub fn begin(random: [u64; 2], span_id: u64) -> Self {
        let [high, low] = random.map(u128::from);
        Self { trace_id: (high << 64 | low).max(1), span_id: span_id.max(1), flags: RANDOM }
    }

    /// Reports whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns the value for the next hop, of version 00.
    pub fn text(&self) -> [u8; PARENT_BYTES] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        if let Some(to) = out.get_mut(3..35) {
            write_hex(self.trace_id, to);
        }
        if let Some(to) = out.get_mut(36..52) {
            write_hex(self.span_id.into(), to);
        }
        if let Some(to) = out.get_mut(53..55) {
            write_hex(self.flags.into(), to);
        }
        out
    }

    /// Puts another span in the place of this one's in a head that has this trace in a line of its
    /// own; does nothing to another head.
    pub fn replace_span(&self, head: &mut [u8], span_id: u64) {
        let text = self.text();
        let Some(trace) = text.get(..36) else { return };
        const NAME: &[u8] = b"\r\ntraceparent: ";
        let is_it = |at: &[u8]| at.starts_with(NAME) && at.get(NAME.len()..) == Some(trace);
        let found = head.windows(NAME.len() + trace.len()).position(is_it);
        let at = found.map(|at| at + NAME.len() + trace.len());
        if let Some(to) = at.and_then(|at| head.get_mut(at..at + 16)) {
            write_hex(span_id.into(), to);
        }
    }
}

/// Reads digits in lower case; upper case is an error in this header.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// Writes a number in lower case with as many digits as there is room for.
pub(crate) fn write_hex(number: u128, to: &mut [u8]) {
    for (i, digit) in to.iter_mut().rev().enumerate() {
        let nibble = number.checked_shr(u32::try_from(i * 4).unwrap_or(u32::MAX)).unwrap_or(0) & 15;
        *digit = DIGITS.get(nibble as usize).copied().unwrap_or(b'0');
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
