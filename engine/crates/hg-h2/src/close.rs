//! The ends of connections and streams: the codes on the wire and our own reasons.

/// An error code of RFC 9113 §7; unknown ones are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// A graceful end.
    pub const NO_ERROR: Code = Code(0x0);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Code = Code(0x1);
    /// We failed.
    pub const INTERNAL_ERROR: Code = Code(0x2);
    /// More bytes came than the window allowed.
    pub const FLOW_CONTROL_ERROR: Code = Code(0x3);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Code = Code(0x4);
    /// A frame came for a stream that was over.
    pub const STREAM_CLOSED: Code = Code(0x5);
    /// A frame had a wrong size.
    pub const FRAME_SIZE_ERROR: Code = Code(0x6);
    /// The stream was not processed; the request may be sent again.
    pub const REFUSED_STREAM: Code = Code(0x7);
    /// The stream is no longer wanted.
    pub const CANCEL: Code = Code(0x8);
    /// The header compression is out of step.
    pub const COMPRESSION_ERROR: Code = Code(0x9);
    /// The connection of a CONNECT broke.
    pub const CONNECT_ERROR: Code = Code(0xa);
    /// The peer causes too much work.
    pub const ENHANCE_YOUR_CALM: Code = Code(0xb);
    /// The TLS connection is not good enough.
    pub const INADEQUATE_SECURITY: Code = Code(0xc);
    /// The request must come over HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Code = Code(0xd);

    /// Reports whether a stream that its peer reset with this code was surely not processed, so
    /// that its request may be sent again whatever its method (RFC 9113 §8.7).
    pub fn is_unprocessed(self) -> bool {
        self == Code::REFUSED_STREAM
    }
}

macro_rules! reasons {
    ($($name:ident = $slug:literal $text:literal;)*) => {
        /// The reason why a connection was closed; a closed list, for counters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the discriminants.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// Returns a short stable slug, the label of the counter.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => $slug,)*
                }
            }

            /// Returns what happened, for people.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    Preface = "preface" "the connection does not begin with the preface of HTTP/2";
    NoSettings = "no-settings" "the first frame is not SETTINGS";
    FrameLength = "frame-length" "a frame has a length that its type does not allow";
    FrameStream = "frame-stream" "a frame is on a stream that its type does not allow";
    SettingsLength = "settings-length" "SETTINGS are not whole entries";
    SettingsAckLength = "settings-ack-length" "the acknowledgement of SETTINGS has a payload";
    SettingsValue = "settings-value" "a setting has a value out of its range";
    SettingsWindow = "settings-window" "a setting makes a window larger than 2^31 - 1";
    SettingsEntries = "settings-entries" "SETTINGS have more than 32 entries";
    Padding = "padding" "the padding is longer than its frame";
    HeadersPriority = "headers-priority" "HEADERS are too short for their priority";
    PushPromise = "push-promise" "PUSH_PROMISE came";
    Continuation = "continuation" "CONTINUATION is missing or out of place";
    StreamId = "stream-id" "a stream has an id that the peer may not open";
    StreamClosed = "stream-closed" "HEADERS came for a stream that is over";
    IdleStream = "idle-stream" "a frame came for a stream that was never opened";
    GoawayLast = "goaway-last" "a second GOAWAY names a higher stream than the first";
    WindowUpdateZero = "window-update-zero" "WINDOW_UPDATE of the connection with 0";
    ConnectionWindow = "connection-window" "more bytes than the connection's window";
    PriorityUpdate = "priority-update" "PRIORITY_UPDATE for a stream that is no request";
    HpackIndex = "hpack-index" "a header block refers to an entry that is not there";
    HpackInteger = "hpack-integer" "an integer in a header block is cut or too large";
    HpackString = "hpack-string" "a string in a header block is cut or not in code";
    HpackSizeUpdate = "hpack-size-update" "a size update of the header table is out of place or too large";
    BlockSize = "block-size" "a header block has too many encoded bytes";
    HeadSize = "head-size" "a head is more than twice as large as allowed";
    ContinuationFlood = "continuation-flood" "too many CONTINUATION frames in one header block";
    SettingsFlood = "settings-flood" "too many SETTINGS";
    PingFlood = "ping-flood" "too many PINGs";
    PriorityFlood = "priority-flood" "too many PRIORITY or PRIORITY_UPDATE frames";
    FrameFlood = "frame-flood" "too many frames of unknown types or for streams that are over";
    ResetFlood = "reset-flood" "too many streams were reset before their answer ended";
    EmptyDataFlood = "empty-data-flood" "too many empty DATA frames in a row";
    SmallDataFlood = "small-data-flood" "too many small DATA frames";
    WindowUpdateFlood = "window-update-flood" "too many WINDOW_UPDATE frames";
    Work = "work" "all kinds of cheap frames together cause too much work";
    GreetingTimeout = "greeting-timeout" "the preface and SETTINGS did not come in time";
    HeadTimeout = "head-timeout" "a header block did not end in time";
    SettingsTimeout = "settings-timeout" "our SETTINGS were not acknowledged in time";
    WriteTimeout = "write-timeout" "the peer took nothing for too long";
    PingTimeout = "ping-timeout" "a PING was not answered in time";
    StalledStreams = "stalled-streams" "the worker holds too much of answers, and the peer does not take its own";
    Drained = "drained" "a graceful end is over";
    Idle = "idle" "nothing happened for too long";
    Owner = "owner" "the proxy ended the connection";
}

/// The close of a connection by the session; its GOAWAY is in the output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code of the GOAWAY.
    pub code: Code,
    /// The reason.
    pub reason: Reason,
}

impl Close {
    /// Makes a close for a violation of the protocol.
    pub(crate) const fn protocol(reason: Reason) -> Close {
        Close { code: Code::PROTOCOL_ERROR, reason }
    }

    /// Makes a close for a frame of a wrong size.
    pub(crate) const fn size(reason: Reason) -> Close {
        Close { code: Code::FRAME_SIZE_ERROR, reason }
    }

    /// Makes a close for a violation of flow control.
    pub(crate) const fn flow(reason: Reason) -> Close {
        Close { code: Code::FLOW_CONTROL_ERROR, reason }
    }

    /// Makes a close for a header block that cannot be decoded.
    pub(crate) const fn compression(reason: Reason) -> Close {
        Close { code: Code::COMPRESSION_ERROR, reason }
    }

    /// Makes a close for a budget that is used up.
    pub(crate) const fn calm(reason: Reason) -> Close {
        Close { code: Code::ENHANCE_YOUR_CALM, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_reason() {
        let page = include_str!("../../../../docs/reference/http2.md");
        let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
        let of = |r: &Reason| format!("| `{}` | {} |", r.as_str(), r.text());
        let expected: Vec<String> = Reason::ALL.iter().map(of).collect();
        assert_eq!(rows, expected);
    }
}
