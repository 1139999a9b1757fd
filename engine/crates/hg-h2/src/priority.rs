//! The priorities of RFC 9218.

/// The urgency of a stream, and whether its answer is useful in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// 0 (most urgent) to 7.
    pub urgency: u8,
    /// True if it shares the connection with other streams of the same urgency.
    pub incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self { urgency: 3, incremental: false }
    }
}

impl Priority {
    /// Reads the value of a `priority` field or of PRIORITY_UPDATE: `u` and `i` of a dictionary
    /// (RFC 9218 §4). What is missing, malformed or out of range has its default.
    pub fn read(value: &[u8]) -> Priority {
        let mut priority = Priority::default();
        for member in value.split(|b| *b == b',') {
            let member = member.trim_ascii();
            let item = member.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            match item {
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = digit - b'0',
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => {}
            }
        }
        priority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_and_faults_ignored() {
        for (value, urgency, incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=5, i", 5, true),
            ("i,u=7", 7, true),
            ("i=?0", 3, false),
            ("i=?1;x=1 , u=1;y", 1, true),
            ("u=8, i=2", 3, false),
            ("u=-1", 3, false),
            ("U=1, a=b", 3, false),
        ] {
            assert_eq!(Priority::read(value.as_bytes()), Priority { urgency, incremental });
        }
    }
}
