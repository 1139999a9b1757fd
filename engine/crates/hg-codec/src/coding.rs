//! The codings that we know.

/// A content coding that we can write and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// DEFLATE with gzip's wrapping (RFC 1952).
    Gzip,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Brotli, Self::Zstd];

    /// Returns the name in `Content-Encoding` and in config.
    pub fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the coding of that name in any case; `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    pub fn of_token(token: &[u8]) -> Option<Self> {
        if token.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|c| token.eq_ignore_ascii_case(c.token().as_bytes()))
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Gzip => 0,
            Self::Brotli => 1,
            Self::Zstd => 2,
        }
    }
}

/// A content coding that we can read: those that we write, and `deflate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readable {
    /// One that we write, too.
    Written(Coding),
    /// DEFLATE with zlib's wrapping (RFC 1950), which some senders still use.
    Deflate,
}

impl Readable {
    /// Every coding, in the order in which a refusal offers them.
    pub const ALL: [Self; 4] = [
        Self::Written(Coding::Zstd),
        Self::Written(Coding::Brotli),
        Self::Written(Coding::Gzip),
        Self::Deflate,
    ];

    /// Returns the name in `Content-Encoding` and in config.
    pub fn token(self) -> &'static str {
        match self {
            Self::Written(coding) => coding.token(),
            Self::Deflate => "deflate",
        }
    }

    /// Returns the coding of that name, as [`Coding::of_token`] does.
    pub fn of_token(token: &[u8]) -> Option<Self> {
        if token.eq_ignore_ascii_case(b"deflate") {
            return Some(Self::Deflate);
        }
        Coding::of_token(token).map(Self::Written)
    }
}

impl From<Coding> for Readable {
    fn from(coding: Coding) -> Self {
        Self::Written(coding)
    }
}
