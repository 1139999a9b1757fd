//! The Huffman code of HPACK (RFC 7541 §5.2, appendix B): one look-up for one or two codes of up to
//! twelve bits together, the canonical order for the rest.

use crate::huffman_code::{BITS, CODES};

/// Bits of the first table's index.
const FIRST_BITS: u32 = 12;
/// Longest code, that of the end of string among others.
const LONGEST: usize = 30;

/// The codes with which an index begins: one or two whole ones.
#[derive(Clone, Copy)]
struct Step {
    symbols: [u8; 2],
    /// The number of symbols; 0 if the first code is longer than the index.
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
    /// The number of codes.
    count: u32,
    /// The index in [`SORTED`] at which the symbols begin.
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
pub(crate) fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    // No code is shorter than five bits; a group is written whole even if it has no symbol.
    out.resize(start + input.len() * 8 / 5 + AT_ONCE, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let left = fill(input, room);
    out.truncate(left.map_or(start, |left| out.len() - left));
    left.map(|_| ())
}

/// Steps that one look at the input is enough for, and the symbols that they may give together.
const STEPS: usize = 4;
const AT_ONCE: usize = 2 * STEPS;

/// Fills room from its start, and returns what is left of it. Behind the input ones are read: no
/// code begins with padding and goes on with them, so a code that ends behind the input is wrong.
fn fill(input: &[u8], mut room: &mut [u8]) -> Result<usize, Malformed> {
    // The bits that are held stand at the top; those behind them are those that come next, or zeros.
    let (mut acc, mut held, mut at) = (0_u64, 0_u32, 0);
    let mut left = 8 * input.len();
    while left > 0 {
        acc |= eight(input, at) >> held;
        at += (63 - held as usize) / 8;
        held |= 56;
        let (mut symbols, mut count, mut bits) = (0_u64, 0, 0);
        for _ in 0..STEPS {
            let step = short(acc);
            symbols |= u64::from(u16::from_le_bytes(step.symbols)) << (8 * count);
            count += u32::from(step.count);
            bits += u32::from(step.bits);
            acc <<= step.bits;
        }
        if count == 0 {
            if left < 8 && acc.leading_ones() as usize >= left {
                break;
            }
            let step = long_code((acc >> 32) as u32)?;
            (symbols, count, bits) =
                (u64::from(u16::from_le_bytes(step.symbols)), 1, u32::from(step.bits));
            acc <<= bits;
        }
        held -= bits;
        left = left.checked_sub(bits as usize).ok_or(Malformed)?;
        *room.first_chunk_mut().ok_or(Malformed)? = symbols.to_le_bytes();
        room = room.get_mut(count as usize..).unwrap_or_default();
    }
    Ok(room.len())
}

/// Returns the eight octets at a place, with ones behind the end.
#[inline(always)]
fn eight(input: &[u8], at: usize) -> u64 {
    let rest = input.get(at..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk() {
        return u64::from_be_bytes(*eight);
    }
    let beyond = 64 - 8 * rest.len() as u32;
    match input.last_chunk() {
        _ if rest.is_empty() => u64::MAX,
        Some(last) => u64::from_be_bytes(*last) << beyond | ((1 << beyond) - 1),
        None => rest.iter().fold(u64::MAX, |bits, b| bits << 8 | u64::from(*b)).rotate_left(beyond),
    }
}

/// Returns the codes that the bits at the top begin with, none if the first is a long one.
#[inline(always)]
fn short(top: u64) -> Step {
    const NONE: Step = Step { symbols: [0; 2], count: 0, bits: 0 };
    FIRST.get((top >> (64 - FIRST_BITS)) as usize).copied().unwrap_or(NONE)
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
        if held >= 32 {
            held -= 32;
            out.extend_from_slice(&((acc >> held) as u32).to_be_bytes());
        }
    }
    while held >= 8 {
        held -= 8;
        out.push((acc >> held) as u8);
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

    /// Decodes bit by bit, as appendix B reads.
    fn by_bits(input: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut code, mut bits) = (Vec::new(), 0_u32, 0_u8);
        for at in 0..8 * input.len() {
            code = code << 1 | u32::from(input[at / 8] >> (7 - at % 8) & 1);
            bits += 1;
            let is_it = |symbol: &usize| BITS[*symbol] == bits && CODES[*symbol] == code;
            if let Some(symbol) = (0..256).find(is_it) {
                out.push(symbol as u8);
                (code, bits) = (0, 0);
            } else if bits > 30 {
                return None;
            }
        }
        (bits < 8 && code == (1 << bits) - 1).then_some(out)
    }

    proptest! {
        #[test]
        fn two_codes_at_once_are_what_the_bits_say(
            code in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                prop::collection::vec(any::<u8>(), 0..40).prop_map(|text| {
                    let mut code = Vec::new();
                    encode(&text, &mut code);
                    code
                }),
                "[a-z0-9/?=.-]{0,60}".prop_map(|text| {
                    let mut code = Vec::new();
                    encode(text.as_bytes(), &mut code);
                    code
                }),
            ],
            cut in 0_usize..3,
        ) {
            let code = &code[..code.len().saturating_sub(cut)];
            let mut out = b"before".to_vec();
            let decoded = decode(code, &mut out).ok().map(|()| out[6..].to_vec());
            prop_assert_eq!(decoded, by_bits(code));
            prop_assert!(out.starts_with(b"before"));
        }

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
