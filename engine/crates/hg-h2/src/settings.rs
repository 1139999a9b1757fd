//! SETTINGS (RFC 9113 §6.5, RFC 8441 §3, RFC 9218 §2.1).

use crate::close::{Close, Reason};
use crate::limits::Role;

/// Greatest window (RFC 9113 §6.9).
pub(crate) const MOST_WINDOW: u32 = 0x7fff_ffff;
/// Entries that one frame may have.
const MOST_ENTRIES: usize = 32;

/// The settings of one side; begins with the values that hold before any frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the table that the other side's encoder may use.
    pub header_table_size: u32,
    /// True if the other side may push.
    pub enable_push: bool,
    /// Streams that the other side may have open.
    pub max_concurrent_streams: u32,
    /// Window of a new stream.
    pub initial_window_size: u32,
    /// Longest payload of a frame.
    pub max_frame_size: u32,
    /// Decoded bytes of a head, by the measure of RFC 9113 §6.5.2; a hint.
    pub max_header_list_size: u32,
    /// True if extended CONNECT is understood.
    pub enable_connect_protocol: bool,
    /// True if the priorities of RFC 7540 are ignored.
    pub no_rfc7540_priorities: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_table_size: 4096,
            enable_push: true,
            max_concurrent_streams: u32::MAX,
            initial_window_size: 65_535,
            max_frame_size: 16_384,
            max_header_list_size: u32::MAX,
            enable_connect_protocol: false,
            no_rfc7540_priorities: false,
        }
    }
}

impl Settings {
    /// Takes over the entries of a payload that the peer of `role` sent.
    ///
    /// # Errors
    /// A value is out of its range.
    pub(crate) fn read(&mut self, payload: &[u8], role: Role) -> Result<(), Close> {
        let (entries, _) = payload.as_chunks::<6>();
        if entries.len() > MOST_ENTRIES {
            return Err(Close::calm(Reason::SettingsEntries));
        }
        for [i, d, a, b, c, e] in entries {
            self.set(u16::from_be_bytes([*i, *d]), u32::from_be_bytes([*a, *b, *c, *e]), role)?;
        }
        Ok(())
    }

    fn set(&mut self, id: u16, value: u32, role: Role) -> Result<(), Close> {
        let wrong = Close::protocol(Reason::SettingsValue);
        match (id, value) {
            (1, _) => self.header_table_size = value,
            // A server must not offer to take pushes (RFC 9113 §6.5.2).
            (2, 0) => self.enable_push = false,
            (2, 1) if role == Role::Server => self.enable_push = true,
            (2, _) => return Err(wrong),
            (3, _) => self.max_concurrent_streams = value,
            (4, 0..=MOST_WINDOW) => self.initial_window_size = value,
            (4, _) => return Err(Close::flow(Reason::SettingsWindow)),
            (5, 0x4000..=0xff_ffff) => self.max_frame_size = value,
            (5, _) => return Err(wrong),
            (6, _) => self.max_header_list_size = value,
            // Once given it cannot be taken back (RFC 8441 §3).
            (8, 0) if self.enable_connect_protocol => return Err(wrong),
            (8, 0 | 1) => self.enable_connect_protocol = value == 1,
            (8, _) => return Err(wrong),
            (9, 0 | 1) => self.no_rfc7540_priorities = value == 1,
            (9, _) => return Err(wrong),
            _ => {}
        }
        Ok(())
    }

    /// Appends the payload that turns the initial values into these.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let initial = Settings::default();
        let entries = |s: &Settings| {
            [
                (1_u16, s.header_table_size),
                (2, u32::from(s.enable_push)),
                (3, s.max_concurrent_streams),
                (4, s.initial_window_size),
                (5, s.max_frame_size),
                (6, s.max_header_list_size),
                (8, u32::from(s.enable_connect_protocol)),
                (9, u32::from(s.no_rfc7540_priorities)),
            ]
        };
        for ((id, value), (_, before)) in entries(self).into_iter().zip(entries(&initial)) {
            if value != before {
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: u16, value: u32, role: Role) -> Result<Settings, &'static str> {
        let mut settings = Settings::default();
        let payload = [id.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat();
        settings.read(&payload, role).map_err(|c| c.reason.as_str()).map(|()| settings)
    }

    #[test]
    fn what_is_written_is_read() {
        let sent = Settings {
            max_concurrent_streams: 128,
            enable_connect_protocol: true,
            no_rfc7540_priorities: true,
            max_frame_size: 0xff_ffff,
            initial_window_size: MOST_WINDOW,
            ..Settings::default()
        };
        let (mut payload, mut got) = (Vec::new(), Settings::default());
        sent.write(&mut payload);
        assert_eq!(payload.len(), 30);
        got.read(&payload, Role::Client).unwrap();
        assert_eq!(got, sent);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (id, value, role, reason) in [
            (2, 2, Role::Server, "settings-value"),
            (2, 1, Role::Client, "settings-value"),
            (4, 0x8000_0000, Role::Server, "settings-window"),
            (5, 0x3fff, Role::Server, "settings-value"),
            (5, 0x100_0000, Role::Server, "settings-value"),
            (8, 2, Role::Client, "settings-value"),
            (9, 2, Role::Server, "settings-value"),
        ] {
            assert_eq!(read(id, value, role).err(), Some(reason), "{id} {value}");
        }
        assert_eq!(read(77, 5, Role::Server), Ok(Settings::default()));
        let mut given = read(8, 1, Role::Client).unwrap();
        assert!(given.read(&[0, 8, 0, 0, 0, 0], Role::Client).is_err());
        let many = [0, 77, 0, 0, 0, 0].repeat(33);
        assert!(Settings::default().read(&many[..32 * 6], Role::Server).is_ok());
        assert!(Settings::default().read(&many, Role::Server).is_err());
    }
}
