//! A radix tree over byte strings that reports every key that is a prefix of a text.

/// No value.
const NONE: u32 = u32::MAX;

/// Immutable; built from sorted keys. Siblings lie side by side, so that one scan of their first
/// bytes finds the way.
#[derive(Default)]
pub(crate) struct Radix {
    nodes: Box<[Node]>,
    /// The first byte of each node's label, by node.
    firsts: Box<[u8]>,
    /// All labels.
    text: Box<[u8]>,
}

#[derive(Clone, Copy)]
struct Node {
    label: u32,
    label_len: u32,
    children: u32,
    child_count: u32,
    value: u32,
}

/// A node whose children are still to be made: the keys below it.
struct Pending {
    node: usize,
    from: usize,
    to: usize,
    depth: usize,
}

impl Radix {
    /// Builds the tree of keys that are sorted and distinct. Values are below `u32::MAX`.
    pub(crate) fn new(keys: &[(&[u8], u32)]) -> Self {
        let mut nodes =
            vec![Node { label: 0, label_len: 0, children: 0, child_count: 0, value: NONE }];
        let mut firsts = vec![0];
        let mut text = Vec::new();
        let mut queue = std::collections::VecDeque::new();
        queue.push_back(Pending { node: 0, from: 0, to: keys.len(), depth: 0 });
        while let Some(Pending { node, mut from, to, depth }) = queue.pop_front() {
            if let Some((_, value)) = keys[from..to].first().filter(|(k, _)| k.len() == depth) {
                nodes[node].value = *value;
                from += 1;
            }
            nodes[node].children = nodes.len() as u32;
            for run in keys[from..to].chunk_by(|a, b| a.0[depth] == b.0[depth]) {
                let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else {
                    continue;
                };
                let end = common_len(first, last);
                queue.push_back(Pending {
                    node: nodes.len(),
                    from,
                    to: from + run.len(),
                    depth: end,
                });
                from += run.len();
                nodes.push(Node {
                    label: text.len() as u32,
                    label_len: (end - depth) as u32,
                    children: 0,
                    child_count: 0,
                    value: NONE,
                });
                firsts.push(first[depth]);
                text.extend_from_slice(&first[depth..end]);
            }
            nodes[node].child_count = nodes.len() as u32 - nodes[node].children;
        }
        Self { nodes: nodes.into(), firsts: firsts.into(), text: text.into() }
    }

    /// Calls `visit` with the length and the value of every key that is a prefix of the text,
    /// shortest first. One pass over the text at most.
    pub(crate) fn walk(&self, text: &[u8], mut visit: impl FnMut(usize, u32)) {
        let Some(mut node) = self.nodes.first() else {
            return;
        };
        let mut rest = text;
        loop {
            if node.value != NONE {
                visit(text.len() - rest.len(), node.value);
            }
            let Some(&byte) = rest.first() else { return };
            let children = node.children as usize..(node.children + node.child_count) as usize;
            let Some(child) = find_byte(&self.firsts[children.clone()], byte) else {
                return;
            };
            node = &self.nodes[children.start + child];
            let label = &self.text[node.label as usize..(node.label + node.label_len) as usize];
            match rest.strip_prefix(label) {
                Some(after) => rest = after,
                None => return,
            }
        }
    }
}

/// Most nodes have few children, where a loop is quicker than setting up a vector search.
fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    if bytes.len() <= 4 {
        bytes.iter().position(|&b| b == byte)
    } else {
        memchr::memchr(byte, bytes)
    }
}

fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn walked(tree: &Radix, text: &[u8]) -> Vec<(usize, u32)> {
        let mut seen = Vec::new();
        tree.walk(text, |len, value| seen.push((len, value)));
        seen
    }

    #[test]
    fn an_empty_tree_reports_nothing() {
        assert_eq!(walked(&Radix::new(&[]), b"/a"), []);
        assert_eq!(walked(&Radix::default(), b"/a"), []);
    }

    #[test]
    fn keys_that_extend_each_other_ten_thousand_deep_are_built_without_recursion() {
        let long = vec![b'a'; 10_000];
        let keys: Vec<(&[u8], u32)> = (0..=10_000u32).map(|n| (&long[..n as usize], n)).collect();
        assert_eq!(walked(&Radix::new(&keys), &long).len(), 10_001);
    }

    proptest! {
        #[test]
        fn every_key_that_begins_the_text_is_reported_in_order(
            keys in prop::collection::btree_set("[/ab]{0,6}", 0..20),
            text in "[/ab]{0,10}",
        ) {
            let keys: BTreeSet<String> = keys;
            let pairs: Vec<(&[u8], u32)> =
                keys.iter().zip(0..).map(|(k, i)| (k.as_bytes(), i)).collect();
            let expected: Vec<(usize, u32)> = pairs
                .iter()
                .filter(|(k, _)| text.as_bytes().starts_with(k))
                .map(|(k, i)| (k.len(), *i))
                .collect();
            prop_assert_eq!(walked(&Radix::new(&pairs), text.as_bytes()), expected);
        }
    }
}
