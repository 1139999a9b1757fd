//! The mode of the log, in one word: what workers make of records.

use hg_plan::{AccessLog, LogFormat};

/// The lines to make, their destinations and their configuration; one word that workers read for
/// each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u64);

const FORM_MASK: u64 = 7;
const LAID_OUT: u64 = 4;
const TO_SINK: u64 = 8;
const TO_COLLECTOR: u64 = 16;
/// Bits below the number of the configuration.
const BITS: u32 = 5;

impl Mode {
    /// Makes the mode of the configuration numbered `epoch`, where nothing is logged.
    pub(crate) fn off(epoch: u64) -> Self {
        Self(epoch << BITS)
    }

    /// Makes the mode of a configuration; `is_laid_out` if its lines have a layout of their own.
    pub(crate) fn new(epoch: u64, config: &AccessLog, is_laid_out: bool) -> Self {
        let form = match config.format {
            _ if is_laid_out => LAID_OUT,
            LogFormat::Json => 1,
            LogFormat::Combined => 2,
            LogFormat::Common => 3,
        };
        let sink = if config.sink.is_some() { TO_SINK } else { 0 };
        let collector = if config.otlp.is_some() { TO_COLLECTOR } else { 0 };
        Self(epoch << BITS | form | sink | collector)
    }

    pub(crate) fn is_laid_out(self) -> bool {
        self.0 & FORM_MASK == LAID_OUT
    }

    /// Reports whether records go anywhere.
    pub(crate) fn is_on(self) -> bool {
        self.0 & (TO_SINK | TO_COLLECTOR) != 0
    }

    /// Reports whether lines go to the sink.
    pub(crate) fn has_sink(self) -> bool {
        self.0 & TO_SINK != 0
    }

    /// Reports whether records go to a collector.
    pub(crate) fn has_collector(self) -> bool {
        self.0 & TO_COLLECTOR != 0
    }

    /// Returns the number of the configuration, which grows by one with each.
    pub(crate) fn epoch(self) -> u64 {
        self.0 >> BITS
    }

    /// Returns the fixed format of its lines; none where they have a layout.
    pub(crate) fn format(self) -> Option<LogFormat> {
        match self.0 & FORM_MASK {
            1 => Some(LogFormat::Json),
            2 => Some(LogFormat::Combined),
            3 => Some(LogFormat::Common),
            _ => None,
        }
    }
}
