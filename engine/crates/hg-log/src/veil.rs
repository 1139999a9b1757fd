//! Hides credentials in what the log keeps of a request: the values of parameters of a query, in its
//! target and its Referer.

use hg_plan::Redaction;

/// The text that is shown instead of a hidden value.
pub const HIDDEN: &[u8] = b"(secret)";

/// The parts of requests that are hidden while one plan is served.
#[derive(Debug, Default)]
pub struct Veil {
    /// Names of parameters, in lower case.
    parameters: Box<[Box<[u8]>]>,
    hides_user_agent: bool,
    hides_referer: bool,
}

impl Veil {
    /// Makes the veil of a plan.
    pub fn new(plan: &Redaction) -> Self {
        let has = |name: &str| plan.headers.iter().any(|one| one == name);
        Self {
            parameters: plan
                .query
                .iter()
                .map(|name| name.to_lowercase().into_bytes().into())
                .collect(),
            hides_user_agent: has("user-agent"),
            hides_referer: has("referer"),
        }
    }

    /// Appends a query, with its question mark before it.
    pub fn push_query(&self, query: &[u8], out: &mut Vec<u8>) {
        out.push(b'?');
        self.push_parameters(query, out);
    }

    /// Appends the target of a request, or any other URL: what follows the first `?` or `#` is its
    /// query.
    pub fn push_target(&self, target: &[u8], out: &mut Vec<u8>) {
        let at = target.iter().position(|b| matches!(b, b'?' | b'#'));
        match at.and_then(|at| target.split_at_checked(at + 1)) {
            Some((path, query)) => {
                out.extend_from_slice(path);
                self.push_parameters(query, out);
            }
            None => out.extend_from_slice(target),
        }
    }

    /// Appends the header Referer.
    pub fn push_referer(&self, value: &[u8], out: &mut Vec<u8>) {
        if self.hides_referer {
            push_whole(value, out);
        } else {
            self.push_target(value, out);
        }
    }

    /// Appends the header User-Agent.
    pub fn push_user_agent(&self, value: &[u8], out: &mut Vec<u8>) {
        if self.hides_user_agent {
            push_whole(value, out);
        } else {
            out.extend_from_slice(value);
        }
    }

    /// A parameter begins after any of `?#&;`; a value that is hidden ends with `&` alone, as those who
    /// read credentials have it.
    fn push_parameters(&self, query: &[u8], out: &mut Vec<u8>) {
        if self.parameters.is_empty() {
            return out.extend_from_slice(query);
        }
        let mut rest = query;
        loop {
            let (name, after) = cut(rest, |b| is_separator(b) || b == b'=');
            out.extend_from_slice(name);
            let (value, after) = match after.strip_prefix(b"=") {
                None => (&b""[..], after),
                Some(after) if self.hides(name) => {
                    out.extend_from_slice(b"=");
                    (HIDDEN, cut(after, |b| b == b'&').1)
                }
                Some(after) => {
                    out.extend_from_slice(b"=");
                    cut(after, is_separator)
                }
            };
            out.extend_from_slice(value);
            let Some((separator, next)) = after.split_first() else {
                return;
            };
            out.push(*separator);
            rest = next;
        }
    }

    /// Reports whether the value of a parameter is hidden; its name is as sent, escapes included.
    fn hides(&self, name: &[u8]) -> bool {
        if !name.contains(&b'%') {
            return self.parameters.iter().any(|one| one.eq_ignore_ascii_case(name));
        }
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.parameters.iter().any(|one| decoded(name).map(lower).eq(one.iter().copied()))
    }
}

fn push_whole(value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(HIDDEN);
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'?' | b'#' | b'&' | b';')
}

/// Splits before the first byte that ends a part.
fn cut(text: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|b| ends(*b)).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, b""))
}

/// Decodes `%2B`; what is no escape stays.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = |at: usize| rest.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (byte, taken) = match (rest.first()?, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), 3),
            (byte, ..) => (*byte, 1),
        };
        rest = rest.get(taken..).unwrap_or_default();
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn veil(query: &[&str], headers: &[&str]) -> Veil {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Veil::new(&Redaction { query: owned(query), headers: owned(headers) })
    }

    fn target(veil: &Veil, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        veil.push_target(text, &mut out);
        out
    }

    #[test]
    fn values_of_named_parameters_are_hidden() {
        let veil = veil(&["token", "x.key"], &[]);
        for (sent, kept) in [
            ("/a?token=abc", "/a?token=(secret)"),
            ("/a?b=1&token=abc&c=2", "/a?b=1&token=(secret)&c=2"),
            ("/a?TOKEN=abc&x.key=abc", "/a?TOKEN=(secret)&x.key=(secret)"),
            ("/a?%74oke%6E=abc", "/a?%74oke%6E=(secret)"),
            ("/a?token=a;b=1#c?d&e=2", "/a?token=(secret)&e=2"),
            ("/a?b=1;token=abc", "/a?b=1;token=(secret)"),
            ("/a?next=/b?token=abc", "/a?next=/b?token=(secret)"),
            ("/a#token=abc", "/a#token=(secret)"),
            ("/a?token=abc=d", "/a?token=(secret)"),
            ("/a?token=&token=", "/a?token=(secret)&token=(secret)"),
            ("/a?token&b", "/a?token&b"),
            ("/a?tokens=1&atoken=1&%74=1&x-key=1", "/a?tokens=1&atoken=1&%74=1&x-key=1"),
            ("/token=abc", "/token=abc"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(target(&veil, sent.as_bytes())).unwrap(), kept);
        }
    }

    #[test]
    fn headers_with_credentials_are_hidden_whole() {
        let (plain, hides) = (veil(&["a"], &[]), veil(&["a"], &["referer", "user-agent"]));
        let both = |veil: &Veil| {
            let (mut referer, mut agent) = (Vec::new(), Vec::new());
            veil.push_referer(b"http://a/?a=b", &mut referer);
            veil.push_user_agent(b"curl?a=b", &mut agent);
            [referer, agent].map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(both(&plain), ["http://a/?a=(secret)", "curl?a=b"]);
        assert_eq!(both(&hides), ["(secret)", "(secret)"]);
        let mut none = Vec::new();
        hides.push_referer(b"", &mut none);
        assert!(none.is_empty());
    }

    proptest! {
        #[test]
        fn without_names_nothing_changes(text: Vec<u8>) {
            prop_assert_eq!(target(&veil(&[], &[]), &text), text);
        }

        #[test]
        fn no_value_is_left(
            before in "[a-c?&;=#%/]{0,12}", value in "[x-z;=#?]{1,8}", after in "[a-c?&;=#%/]{0,12}",
        ) {
            let sent = format!("/?{before}&token={value}&{after}");
            let kept = String::from_utf8(target(&veil(&["token"], &[]), sent.as_bytes())).unwrap();
            prop_assert!(!kept.contains(['x', 'y', 'z']), "{} {}", sent, kept);
        }

        #[test]
        fn other_parameters_stay(text in "[a-c?&;=#%0-9/]{0,40}") {
            let kept = target(&veil(&["token"], &[]), text.as_bytes());
            prop_assert_eq!(String::from_utf8(kept).unwrap(), text);
        }
    }
}
