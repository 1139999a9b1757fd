//! The Huffman code of HPACK (RFC 7541 §5.2, appendix B): one look-up for one or two codes of up to
//! twelve bits together, the canonical order for the rest.

use crate::huffman_code::{BITS, CODES};

/// Bits of the first table's index.
const FIRST_BITS: u32 = 12;
/// Longest code, that of the end of string among others.
const LONGEST: usize = 30;

/// What an index begins with: one or two whole codes.
#[derive(Clone, Copy)]
struct Step {
    symbols: [u8; 2],
    /// How many symbols; 0 if the first code is longer than the index.
    count: u8,
    /// Bits of them together.
    bits: u8,
}

static FIRST: [Step; 1 << FIRST_BITS] = {
    let mut table = [Step { symbols: [0; 2], count: 0, bits: 0 }; 1 << FIRST_BITS];
    let mut symbol = 0;
    while symbol < 256 {
        let bits = BITS[symbol] as u32;
        if bits <= FIRST_BITS {
            let spare = FIRST_BITS - bits;
            let mut i = 0;
            while i < 1 << spare {
                let at = ((CODES[symbol] << spare) + i) as usize;
                table[at] = Step { symbols: [symbol as u8, 0], count: 1, bits: bits as u8 };
                i += 1;
            }
        }
        symbol += 1;
    }
    // A second code behind the first, where both fit.
    let singles = table;
    let mut at = 0;
    while at < 1 << FIRST_BITS {
        let first = singles[at];
        if first.count == 1 {
            let rest = at << first.bits & ((1 << FIRST_BITS) - 1);
            let second = singles[rest];
            if second.count == 1 && (first.bits + second.bits) as u32 <= FIRST_BITS {
                let symbols = [first.symbols[0], second.symbols[0]];
                table[at] = Step { symbols, count: 2, bits: first.bits + second.bits };
            }
        }
        at += 1;
    }
    table
};

/// The codes of one length.
#[derive(Clone, Copy)]
struct Group {
    bits: u32,
    /// The lowest code.
    first: u32,
    /// How many there are.
    count: u32,
    /// Where the symbols begin in [`SORTED`].
    at: u32,
}

/// Symbols in the order of their codes.
static SORTED: [u8; 256] = {
    let mut sorted = [0; 256];
    let (mut at, mut bits) = (0, 1);
    while bits <= LONGEST {
        let mut symbol = 0;
        while symbol < 256 {
            if BITS[symbol] as usize == bits {
                sorted[at] = symbol as u8;
                at += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    sorted
};

/// The groups of codes longer than [`FIRST_BITS`], by length; an empty one matches nothing.
static GROUPS: [Group; LONGEST - FIRST_BITS as usize] = {
    let mut groups = [Group { bits: 0, first: 0, count: 0, at: 0 }; LONGEST - FIRST_BITS as usize];
    let (mut at, mut bits) = (0, 1);
    while bits <= LONGEST {
        let (mut first, mut count, mut symbol) = (u32::MAX, 0, 0);
        while symbol < 256 {
            if BITS[symbol] as usize == bits {
                if CODES[symbol] < first {
                    first = CODES[symbol];
                }
                count += 1;
            }
            symbol += 1;
        }
        if bits > FIRST_BITS as usize {
            groups[bits - FIRST_BITS as usize - 1] = Group { bits: bits as u32, first, count, at };
        }
        at += count;
        bits += 1;
    }
    groups
};

/// The string is not a whole number of codes, or its padding is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends the octets that `input` stands for.
///
/// # Errors
/// A code that stands for nothing, the end-of-string code, or padding that is longer than seven
/// bits or not all ones (RFC 7541 §5.2).
pub(crate) fn decode(mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.reserve(input.len() * 8 / 5);
    let (mut acc, mut held) = (0_u64, 0_u32);
    loop {
        if held <= 32 {
            if let Some((four, rest)) = input.split_first_chunk::<4>() {
                acc = acc << 32 | u64::from(u32::from_be_bytes(*four));
                (held, input) = (held + 32, rest);
            } else if held < LONGEST as u32 {
                break;
            }
        }
        // At least the longest code is held.
        let step = step(acc << (64 - held))?;
        match step.symbols {
            [one, _] if step.count == 1 => out.push(one),
            both => out.extend_from_slice(&both),
        }
        held -= u32::from(step.bits);
    }
    for byte in input {
        acc = acc << 8 | u64::from(*byte);
        held += 8;
    }
    rest(acc, held, out)
}

/// Decodes the last bits, fewer than 64, which end with padding.
fn rest(acc: u64, mut held: u32, out: &mut Vec<u8>) -> Result<(), Malformed> {
    while held > 0 {
        let step = match step(acc << (64 - held)) {
            Ok(step) => step,
            Err(Malformed) => return padding(acc, held),
        };
        let (mut bits, mut count) = (u32::from(step.bits), step.count);
        if bits > held && count == 2 {
            // Zeros behind the end may look like a second code.
            let [first, _] = step.symbols;
            bits = u32::from(BITS.get(usize::from(first)).copied().unwrap_or(0));
            count = 1;
        }
        if bits > held {
            return padding(acc, held);
        }
        out.extend_from_slice(step.symbols.get(..usize::from(count)).unwrap_or_default());
        held -= bits;
    }
    Ok(())
}

/// Accepts fewer than eight bits, all ones.
fn padding(acc: u64, held: u32) -> Result<(), Malformed> {
    let ones = (1_u64 << held.min(8)) - 1;
    if held < 8 && acc & ones == ones { Ok(()) } else { Err(Malformed) }
}

/// Returns what the bits at the top begin with.
#[inline(always)]
fn step(top: u64) -> Result<Step, Malformed> {
    let step = FIRST.get((top >> (64 - FIRST_BITS)) as usize).copied().ok_or(Malformed)?;
    if step.count > 0 { Ok(step) } else { long_code((top >> 32) as u32) }
}

#[cold]
fn long_code(view: u32) -> Result<Step, Malformed> {
    for group in &GROUPS {
        let code = view >> (32 - group.bits);
        if group.count > 0 && code >= group.first && code - group.first < group.count {
            let at = group.at + (code - group.first);
            let symbol = SORTED.get(at as usize).copied().ok_or(Malformed)?;
            return Ok(Step { symbols: [symbol, 0], count: 1, bits: group.bits as u8 });
        }
    }
    Err(Malformed)
}

/// Returns the length of `input` in code, in bytes.
#[inline]
pub(crate) fn encoded_len(input: &[u8]) -> usize {
    let bits: usize =
        input.iter().map(|b| usize::from(BITS.get(usize::from(*b)).copied().unwrap_or(0))).sum();
    bits.div_ceil(8)
}

/// Appends `input` in code.
pub(crate) fn encode(input: &[u8], out: &mut Vec<u8>) {
    let (mut acc, mut held) = (0_u64, 0_u32);
    for byte in input {
        let at = usize::from(*byte);
        let (Some(code), Some(bits)) = (CODES.get(at), BITS.get(at)) else { continue };
        acc = acc << bits | u64::from(*code);
        held += u32::from(*bits);
        while held >= 8 {
            held -= 8;
            out.push((acc >> held) as u8);
        }
    }
    if held > 0 {
        let spare = 8 - held;
        out.push((acc << spare) as u8 | ((1_u8 << spare) - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(input, &mut out).ok().map(|()| out)
    }

    #[test]
    fn the_strings_of_the_rfc_are_decoded() {
        let code = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&code).unwrap(), b"www.example.com");
        assert_eq!(decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(), b"no-cache");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    #[test]
    fn every_octet_survives_the_code() {
        let all: Vec<u8> = (0..=255).collect();
        let mut code = Vec::new();
        encode(&all, &mut code);
        assert_eq!(code.len(), encoded_len(&all));
        assert_eq!(decoded(&code).unwrap(), all);
    }

    #[test]
    fn wrong_padding_and_the_end_of_string_are_refused() {
        // "0" is 00000; the padding must be 111.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        assert_eq!(decoded(&[0b0000_0110]), None);
        assert_eq!(decoded(&[0b0000_0111, 0xff]), None, "padding of more than seven bits");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None, "the end of string");
        assert_eq!(decoded(&[0xff]), None);
    }

    proptest! {
        #[test]
        fn strings_survive_the_code(text: Vec<u8>) {
            let mut code = Vec::new();
            encode(&text, &mut code);
            prop_assert_eq!(code.len(), encoded_len(&text));
            prop_assert_eq!(decoded(&code).unwrap(), text);
        }

        #[test]
        fn whatever_is_decoded_encodes_to_the_same_bytes(code: Vec<u8>) {
            if let Some(text) = decoded(&code) {
                let mut again = Vec::new();
                encode(&text, &mut again);
                prop_assert_eq!(again, code);
            }
        }
    }
}
