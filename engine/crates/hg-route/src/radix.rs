//! A radix tree over byte strings that reports every key that is a prefix of a text.

/// No value.
const NONE: u32 = u32::MAX;

/// Immutable; built from sorted keys. Siblings are stored side by side, so that one scan of their
/// first bytes finds the child.
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

/// A node whose children are not made yet: the keys below it.
struct Pending<'k> {
    node: usize,
    keys: &'k [(&'k [u8], u32)],
    /// Bytes that the keys share, which are in the labels already.
    depth: usize,
}

impl Radix {
    /// Builds the tree from sorted, distinct keys. Values are below `u32::MAX`.
    pub(crate) fn new(keys: &[(&[u8], u32)]) -> Self {
        let mut nodes =
            vec![Node { label: 0, label_len: 0, children: 0, child_count: 0, value: NONE }];
        let mut firsts = vec![0];
        let mut text = Vec::new();
        let mut queue = std::collections::VecDeque::new();
        queue.push_back(Pending { node: 0, keys, depth: 0 });
        while let Some(Pending { node, mut keys, depth }) = queue.pop_front() {
            let children = nodes.len() as u32;
            let mut value = NONE;
            if let Some((key, own)) = keys.first()
                && key.len() == depth
            {
                (value, keys) = (*own, keys.get(1..).unwrap_or_default());
            }
            for run in keys.chunk_by(|a, b| a.0.get(depth) == b.0.get(depth)) {
                let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else {
                    continue;
                };
                let end = common_len(first, last);
                queue.push_back(Pending { node: nodes.len(), keys: run, depth: end });
                let label = first.get(depth..end).unwrap_or_default();
                nodes.push(Node {
                    label: text.len() as u32,
                    label_len: label.len() as u32,
                    children: 0,
                    child_count: 0,
                    value: NONE,
                });
                firsts.extend(label.first());
                text.extend_from_slice(label);
            }
            let child_count = nodes.len() as u32 - children;
            if let Some(node) = nodes.get_mut(node) {
                *node = Node { children, child_count, value, ..*node };
            }
        }
        Self { nodes: nodes.into(), firsts: firsts.into(), text: text.into() }
    }

    /// Returns the child whose label begins the text, and what follows it.
    fn child<'t>(&self, node: &Node, text: &'t [u8]) -> Option<(&Node, &'t [u8])> {
        let (first, rest) = text.split_first()?;
        let children = node.children as usize..(node.children + node.child_count) as usize;
        let at = children.start + find_byte(self.firsts.get(children)?, *first)?;
        let child = self.nodes.get(at)?;
        if child.label_len == 1 {
            return Some((child, rest));
        }
        let label = child.label as usize + 1..(child.label + child.label_len) as usize;
        Some((child, rest.strip_prefix(self.text.get(label)?)?))
    }

    /// Calls `visit` with the length and the value of every key that is a prefix of the text,
    /// shortest first. At most one pass over the text.
    pub(crate) fn walk(&self, text: &[u8], mut visit: impl FnMut(usize, u32)) {
        let Some(mut node) = self.nodes.first() else {
            return;
        };
        let mut rest = text;
        loop {
            if node.value != NONE {
                visit(text.len() - rest.len(), node.value);
            }
            let Some((child, after)) = self.child(node, rest) else { return };
            (node, rest) = (child, after);
        }
    }
}

/// Finds a byte. Most nodes have few children, for which a loop is faster than setting up a vector
/// search.
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
