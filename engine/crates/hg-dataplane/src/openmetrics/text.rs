//! Writes OpenMetrics text: families with HELP, TYPE and UNIT, then their samples. Pure.
//!
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>; whoever
//! joins several parts adds the closing `# EOF`.

use std::fmt::Write as _;

/// The metric types in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only grows; the sample's name ends in `_total`.
    Counter,
    /// Any value.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Always 1; the labels hold the information, and the sample's name ends in `_info`.
    Info,
}

impl Type {
    fn as_str(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
            Type::Info => "info",
        }
    }
}

/// Label names and values, in the order of the page.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page under construction.
#[derive(Debug, Default)]
pub struct Text {
    out: String,
    family: &'static str,
    suffix: &'static str,
}

impl Text {
    /// Begins a family. `name` is without `_total` or `_info`; a unit must be the name's last word.
    pub fn family(&mut self, name: &'static str, kind: Type, unit: &str, help: &str) -> &mut Self {
        self.family = name;
        self.suffix = match kind {
            Type::Counter => "_total",
            Type::Info => "_info",
            Type::Gauge | Type::Histogram => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "# HELP {name} {help}");
        let _ = writeln!(self.out, "# TYPE {name} {}", kind.as_str());
        if !unit.is_empty() {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
        self
    }

    /// Appends a sample with a whole value.
    pub fn int(&mut self, labels: Labels<'_>, value: u64) -> &mut Self {
        let suffix = self.suffix;
        self.head(suffix, labels);
        let _ = writeln!(self.out, " {value}");
        self
    }

    /// Appends a sample with a fractional value; leaves out NaN and infinities.
    pub fn float(&mut self, labels: Labels<'_>, value: f64) -> &mut Self {
        if value.is_finite() {
            let suffix = self.suffix;
            self.head(suffix, labels);
            let _ = writeln!(self.out, " {value}");
        }
        self
    }

    /// Appends a histogram's samples: buckets (upper bound as text, not cumulative), then the
    /// overflow.
    pub fn buckets<'a>(
        &mut self,
        labels: Labels<'_>,
        buckets: impl Iterator<Item = (&'a str, u64)>,
        overflow: u64,
        sum: f64,
    ) -> &mut Self {
        let mut total = 0;
        for (bound, count) in buckets {
            total += count;
            self.head("_bucket", &[labels, &[("le", bound)]].concat());
            let _ = writeln!(self.out, " {total}");
        }
        total += overflow;
        self.head("_bucket", &[labels, &[("le", "+Inf")]].concat());
        let _ = writeln!(self.out, " {total}");
        self.head("_count", labels);
        let _ = writeln!(self.out, " {total}");
        self.head("_sum", labels);
        let _ = writeln!(self.out, " {sum}");
        self
    }

    /// Returns the page.
    pub fn finish(self) -> String {
        self.out
    }

    fn head(&mut self, suffix: &str, labels: Labels<'_>) {
        self.out.push_str(self.family);
        self.out.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels {
            self.out.push(separator);
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(&mut self.out, value);
            self.out.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
    }
}

/// Escapes backslash, quote and line feed, the only characters that need it.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.family("x", Type::Gauge, "", "Help.").int(&[("a", "q\"b\\s\nn"), ("b", "é")], 1);
        let expected = "# HELP x Help.\n# TYPE x gauge\nx{a=\"q\\\"b\\\\s\\nn\",b=\"é\"} 1\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn counters_infos_and_units_are_named_as_the_specification_says() {
        let mut text = Text::default();
        text.family("x_bytes", Type::Counter, "bytes", "Bytes.").int(&[], 5);
        text.family("y", Type::Info, "", "Which.").int(&[("v", "1")], 1);
        text.family("z", Type::Gauge, "", "No number.").float(&[], f64::NAN).float(&[], 0.25);
        let expected = "# HELP x_bytes Bytes.\n# TYPE x_bytes counter\n# UNIT x_bytes bytes\n\
                        x_bytes_total 5\n# HELP y Which.\n# TYPE y info\ny_info{v=\"1\"} 1\n\
                        # HELP z No number.\n# TYPE z gauge\nz 0.25\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn buckets_are_cumulative() {
        let mut text = Text::default();
        text.family("h", Type::Histogram, "", "H.").buckets(
            &[("a", "b")],
            [("0.1", 2), ("1.0", 3)].into_iter(),
            4,
            7.5,
        );
        let lines: Vec<String> = text.finish().lines().skip(2).map(str::to_owned).collect();
        let expected = [
            "h_bucket{a=\"b\",le=\"0.1\"} 2",
            "h_bucket{a=\"b\",le=\"1.0\"} 5",
            "h_bucket{a=\"b\",le=\"+Inf\"} 9",
            "h_count{a=\"b\"} 9",
            "h_sum{a=\"b\"} 7.5",
        ];
        assert_eq!(lines, expected);
    }
}
