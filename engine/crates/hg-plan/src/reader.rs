//! Decodes the routes of a plan; routes that are alike cost a comparison instead of a parse.
//!
//! A large plan repeats one kind of route many times, each with another host, upstream or path.
//! After a few routes the reader keeps a [`Template`]: the bytes of one route with those texts open.
//! Bytes that match the template are the same route with other texts and need no parsing.

use crate::{Action, PathMatch, Pattern, Route};

/// How many routes are decoded before the first template is made.
const UNLIKE: u32 = 8;

/// How many templates are kept; the one that was used last is tried first.
const TEMPLATES: usize = 4;

/// How many routes must match a template to pay for making the next one.
const PRICE: u32 = 8;

/// How many routes are decoded, while templates do not pay, before another one is tried: routes that
/// all differ must not cost much more than their decoding.
const REST: u32 = 256;

/// At most this many positions in the bytes are tried as the place of one text.
const CANDIDATES: usize = 4;

/// Decodes routes one after the other.
#[derive(Default)]
pub struct RouteReader {
    templates: Vec<Template>,
    last: Option<Route>,
    seen: u32,
    /// The cost of templates so far, minus what they saved.
    spent: u32,
    /// Routes decoded since a template was last tried, while they do not pay.
    rested: u32,
}

impl RouteReader {
    /// Returns the route of these canonical bytes, equal to what decoding them gives.
    ///
    /// # Errors
    /// Returns the decoder's message when the bytes are not a route.
    pub fn read(&mut self, bytes: &[u8]) -> Result<&Route, String> {
        if let Some(at) = self.templates.iter_mut().position(|template| template.fill(bytes)) {
            self.spent = self.spent.saturating_sub(1);
            self.templates[..=at].rotate_right(1);
            return Ok(&self.templates[0].route);
        }
        let route = decode(bytes)?;
        self.seen = self.seen.saturating_add(1);
        if self.spent > UNLIKE * PRICE {
            self.rest();
        } else if self.seen > UNLIKE {
            self.learn(bytes, &route);
        }
        Ok(self.last.insert(route))
    }

    /// Makes and keeps the template of a route that was decoded. A failed attempt costs something
    /// too, because it copies the route.
    fn learn(&mut self, bytes: &[u8], route: &Route) {
        let Some(template) = Template::new(bytes, route) else {
            self.spent += 1;
            return;
        };
        self.spent += PRICE;
        self.templates.truncate(TEMPLATES - 1);
        self.templates.insert(0, template);
    }

    /// Allows one more template after `REST` routes.
    fn rest(&mut self) {
        self.rested += 1;
        if self.rested == REST {
            self.rested = 0;
            self.spent = UNLIKE * PRICE;
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Route, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

/// A text of a route that may differ between routes that are otherwise equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Host,
    Upstream,
    Path,
}

impl Place {
    const ALL: [Place; 3] = [Place::Host, Place::Upstream, Place::Path];

    /// The field of a route that holds it, if the route has exactly one.
    fn of(self, route: &mut Route) -> Option<&mut String> {
        match self {
            Place::Host => match route.hosts.as_mut_slice() {
                [host] => Some(host),
                _ => None,
            },
            Place::Upstream => match &mut route.action {
                Action::Upstream(name) => Some(name),
                _ => None,
            },
            Place::Path => match route.matches.as_mut_slice() {
                [one] => match &mut one.path {
                    Some(PathMatch::Exact(path) | PathMatch::Prefix(path)) => Some(path),
                    _ => None,
                },
                _ => None,
            },
        }
    }

    /// The placeholder of the text in a template.
    fn marker(self) -> String {
        format!("<{self:?}>")
    }
}

/// A route with some texts open.
struct Template {
    pattern: Pattern,
    places: Vec<Place>,
    /// The route, with the texts of the bytes that matched last.
    route: Route,
}

impl Template {
    /// Makes the template of a route and its bytes; `None` if no text can be opened safely.
    ///
    /// The position of a text is found by putting a marker there: the changed bytes must decode to
    /// the route with the marker in that field. Because the field is a plain string, any other text
    /// at that position decodes into the same field and changes nothing else.
    fn new(bytes: &[u8], route: &Route) -> Option<Template> {
        let mut text = String::from_utf8(bytes.to_vec()).ok()?;
        let mut route = route.clone();
        let mut places = Vec::new();
        for place in Place::ALL {
            let marker = place.marker();
            // If the route already contains the marker, plain or escaped, the search could find that
            // one instead of ours.
            if text.contains(&marker) || place.of(&mut route).is_some_and(|open| *open == marker) {
                continue;
            }
            let mut marked = route.clone();
            let Some(open) = place.of(&mut marked) else { continue };
            let quoted = format!("\"{open}\"");
            marker.clone_into(open);
            let put = |at: usize| {
                let (before, after) = (text.get(..at)?, text.get(at + quoted.len()..)?);
                let put = format!("{before}\"{marker}\"{after}");
                (decode(put.as_bytes()).ok()? == marked).then_some(put)
            };
            let found = text.match_indices(&quoted).take(CANDIDATES).find_map(|(at, _)| put(at));
            if let Some(found) = found {
                (text, route) = (found, marked);
                places.push(place);
            }
        }
        let markers: Vec<String> = places.iter().map(|place| place.marker()).collect();
        let pattern = Pattern::new(text.as_bytes(), &markers).filter(|_| !places.is_empty())?;
        Some(Template { pattern, places, route })
    }

    /// Returns whether the bytes match; if they do, `route` is then the route of these bytes.
    fn fill(&mut self, bytes: &[u8]) -> bool {
        let Self { pattern, places, route } = self;
        let mut texts = [""; Place::ALL.len()];
        if !pattern.texts(bytes, &mut texts) {
            return false;
        }
        for (place, text) in places.iter().zip(texts) {
            if let Some(open) = place.of(route) {
                text.clone_into(open);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, upstream: &str, rest: &str) -> String {
        format!(
            r#"{{"action":{{"upstream":"{upstream}"}},"hosts":["{host}"],"listeners":["web"]{rest}}}"#
        )
    }

    /// Reads all of them twice and compares each result with the decoder's.
    fn check(all: &[String]) -> RouteReader {
        let mut reader = RouteReader::default();
        for bytes in all.iter().chain(all) {
            let expected = decode(bytes.as_bytes());
            assert_eq!(reader.read(bytes.as_bytes()).cloned(), expected, "{bytes}");
        }
        reader
    }

    #[test]
    fn routes_that_are_alike_are_those_that_the_decoder_gives() {
        let edit = r#","middlewares":[{"response_headers":{"set":{"x-v":"web"}}}]"#;
        let path = r#","match":[{"path":{"prefix":"/web"}}]"#;
        let all: Vec<String> = (0..40)
            .map(|i| match i % 3 {
                0 => route(&format!("h{i}.example"), "web", edit),
                1 => route("web", &format!("u{i}"), ""),
                _ => route("web", "web", path),
            })
            .collect();
        assert_eq!(check(&all).templates.len(), 3);
    }

    #[test]
    fn what_the_decoder_refuses_is_refused_after_its_like_was_read() {
        let mut all: Vec<String> = (0..20).map(|i| route(&format!("h{i}"), "u", "")).collect();
        for odd in ["a\\u0062", "a\\", "\u{e9}", "a\u{1}", "a\",\"b", "", "a b"] {
            all.push(route(odd, "u", ""));
        }
        all.push(all[3].replace("hosts", "hots"));
        all.push(all[3].replace("}}", "}"));
        all.push(format!("{} ", all[3]));
        all.push(format!("{}x", all[3]));
        all.push(String::new());
        check(&all);
    }

    #[test]
    fn a_text_that_stands_elsewhere_too_is_found_in_its_place() {
        let rest = r#","middlewares":[{"request_headers":{"set":{"hosts":"h","x":"h"}}}]"#;
        let all: Vec<String> = (0..20).map(|_| route("h", "h", rest)).collect();
        let mut reader = check(&all);
        let other = route("other", "u", rest);
        let read = reader.read(other.as_bytes()).unwrap().clone();
        assert_eq!(read, decode(other.as_bytes()).unwrap());
        assert_eq!(reader.templates.len(), 1);
    }

    #[test]
    fn a_route_that_has_a_marker_itself_is_not_opened_in_the_wrong_place() {
        let unlike = (0..=UNLIKE).map(|i| route("h", "u", &format!(r#","priority":{i}"#)));
        for place in Place::ALL {
            let marker = place.marker();
            let escaped = marker.replace('<', "\\u003c");
            let bytes = match place {
                Place::Host => route(&escaped, "u", ""),
                Place::Upstream => route("h", &escaped, ""),
                Place::Path => {
                    route("h", "u", &format!(r#","match":[{{"path":{{"exact":"{escaped}"}}}}]"#))
                }
            };
            let with = |listener: &str| bytes.replace(r#"["web"]"#, &format!("[\"{listener}\"]"));
            let all: Vec<String> =
                unlike.clone().chain([with(&marker), with("web"), with("other")]).collect();
            check(&all);
        }
    }

    #[test]
    fn routes_that_have_markers_of_other_places_are_those_that_the_decoder_gives() {
        let unlike = (0..=UNLIKE).map(|i| route("h", "u", &format!(r#","priority":{i}"#)));
        let path = |path: &str| format!(r#","match":[{{"path":{{"prefix":"{path}"}}}}]"#);
        for (host, upstream, prefix) in [
            ("<Host>", "<Upstream>", "<Path>"),
            ("<Upstream>", "<Host>", "<Host>"),
            ("<Path>", "<Path>", "\\u003cPath>"),
            ("\\u003cUpstream>", "\\u003cUpstream>", "<Host>"),
        ] {
            let marked = route(host, upstream, &path(prefix));
            let like = route("h", "u", &path("/"));
            let half = route(host, "u", &path("/"));
            check(&unlike.clone().chain([marked, like.clone(), half, like]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn routes_unlike_each_other_make_no_more_templates_than_they_pay_for() {
        let all: Vec<String> =
            (0..200).map(|i| route("h", "u", &format!(r#","priority":{i}"#))).collect();
        let mut reader = RouteReader::default();
        for bytes in &all {
            reader.read(bytes.as_bytes()).unwrap();
        }
        assert!(reader.spent <= (UNLIKE + 1) * PRICE && reader.templates.len() == TEMPLATES);
    }

    #[test]
    fn routes_unlike_each_other_do_not_keep_later_ones_from_a_template() {
        let no_template = r#"{"action":{"respond":{"body":"x","status":200}},"hosts":["a","b"],"listeners":["web"]}"#;
        let unlike = (0..40).map(|i| route("h", "u", &format!(r#","priority":{i}"#)));
        for odd in [unlike.collect(), vec![no_template.to_owned(); 200]] {
            let alike = (0..1000).map(|i| route(&format!("h{i}.example"), "u", ""));
            let mut reader = RouteReader::default();
            for bytes in odd.iter().cloned().chain(alike) {
                assert_eq!(reader.read(bytes.as_bytes()).cloned(), decode(bytes.as_bytes()));
            }
            let decoded = reader.seen as usize - odd.len();
            assert!(decoded <= REST as usize + 1 && reader.spent == 0, "{decoded}");
        }
    }
}
