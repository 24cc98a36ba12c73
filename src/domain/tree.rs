//! An inert regression tree: grown by `learn`, read by `decide`, stored by `record`. It knows how to answer and
//! how to say which way it went; where it came from is not its business.

use serde::{Deserialize, Serialize};

/// A node; children are indices into [`Tree::nodes`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Shrunken value of the node, in bits per byte of utility.
    pub value: f64,
    /// Training rows that reached it.
    pub count: u64,
    /// `None` for a leaf.
    pub split: Option<Split>,
}

/// A split: rows with `x[feature] < threshold` go left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Index into [`Tree::features`].
    pub feature: usize,
    /// In the feature's unit.
    pub threshold: f64,
    /// Node for smaller values.
    pub left: usize,
    /// Node for the rest.
    pub right: usize,
}

/// A tree; node 0 is the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// Names of the inputs, in order.
    pub features: Vec<String>,
    /// All nodes; an empty list answers 0.
    pub nodes: Vec<Node>,
}

/// One step of a path through a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PathStep {
    /// The feature's name.
    pub feature: String,
    /// Its value in this case.
    pub value: f64,
    /// Where the tree splits.
    pub threshold: f64,
    /// Whether the value was below.
    pub below: bool,
    /// Training rows behind the node it led to.
    pub count: u64,
}

impl Tree {
    /// The leaf's value and the way to it. Missing inputs (NaN) go right. A malformed tree (a cycle, an index out
    /// of range) stops at the last good node.
    pub fn predict(&self, x: &[f64]) -> (f64, Vec<PathStep>) {
        let mut path = Vec::new();
        let Some(mut node) = self.nodes.first() else { return (0.0, path) };
        while let Some(split) = &node.split {
            let (Some(&value), Some(name)) = (x.get(split.feature), self.features.get(split.feature)) else { break };
            let below = value < split.threshold;
            let Some(next) = self.nodes.get(if below { split.left } else { split.right }) else { break };
            if path.len() >= self.nodes.len() {
                break;
            }
            path.push(PathStep { feature: name.clone(), value, threshold: split.threshold, below, count: next.count });
            node = next;
        }
        (node.value, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(value: f64) -> Node {
        Node { value, count: 3, split: None }
    }

    #[test]
    fn a_tree_answers_with_its_leaf_and_names_the_way() {
        let tree = Tree {
            features: vec!["coverage".into()],
            nodes: vec![
                Node { value: 0.0, count: 6, split: Some(Split { feature: 0, threshold: 0.5, left: 1, right: 2 }) },
                leaf(-1.0),
                leaf(1.0),
            ],
        };
        let (value, path) = tree.predict(&[0.2]);
        assert_eq!((value, path.len(), path[0].below), (-1.0, 1, true));
        assert_eq!(tree.predict(&[0.5]).0, 1.0);
        assert_eq!(tree.predict(&[f64::NAN]).0, 1.0);
    }

    #[test]
    fn a_tree_with_a_cycle_still_ends() {
        let split = Some(Split { feature: 0, threshold: 0.5, left: 0, right: 0 });
        let tree = Tree { features: vec!["x".into()], nodes: vec![Node { value: 2.0, count: 1, split }] };
        assert_eq!(tree.predict(&[0.0]).0, 2.0);
    }
}
