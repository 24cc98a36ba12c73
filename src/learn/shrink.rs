//! A grown tree's values, recounted and shrunk along its paths (hierarchical shrinkage, Agarwal et al. 2022, with one
//! step more: the root's mean is shrunk towards 0, the rules being right). Knows nothing of how the splits were found.
//!
//! With mu_l the mean residual and N_l the rows of the l-th node of a path, n = N_0, and lambda the shrinkage:
//!
//! ```text
//! residual = mu_0 n / (n + lambda)  +  sum over l >= 1 of (mu_l - mu_{l-1}) / (1 + lambda / N_{l-1})
//! ```

use crate::domain::tree::{Node, Split, Tree};
use serde::{Deserialize, Serialize};

/// Which way the correction may go as a feature grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Never down.
    Rising,
    /// Never up.
    Falling,
}

/// A declared direction: a feature by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monotone {
    /// The feature's name, as in [`Feature::SITUATION`](crate::domain::feature::Feature::SITUATION).
    pub feature: String,
    /// Which way.
    pub direction: Direction,
}

/// A node before shrinkage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawNode {
    /// Mean residual of the rows that reach it.
    pub mean: f64,
    /// Their number.
    pub count: u64,
    /// `None` for a leaf.
    pub split: Option<Split>,
}

/// A tree before shrinkage; node 0 is the root, children come after their parents.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RawTree {
    pub nodes: Vec<RawNode>,
}

/// The correction common to all, and the tree of the rest. `None` is infinity: both are exactly 0.
pub(super) fn shrink(raw: &RawTree, lambda: Option<f64>, features: Vec<String>) -> (f64, Tree) {
    let Some(root) = raw.nodes.first() else { return (0.0, Tree { features, nodes: Vec::new() }) };
    let weight = |count: u64| lambda.map_or(0.0, |l| count as f64 / (count as f64 + l));
    let mut values = vec![0.0; raw.nodes.len()];
    for (i, node) in raw.nodes.iter().enumerate() {
        let Some(split) = &node.split else { continue };
        let own = values.get(i).copied().unwrap_or(0.0);
        for child in [split.left, split.right] {
            if let (Some(value), Some(below)) = (values.get_mut(child), raw.nodes.get(child)) {
                // (mu_l - mu_{l-1}) / (1 + lambda / N) = (mu_l - mu_{l-1}) N / (N + lambda)
                *value = own + (below.mean - node.mean) * weight(node.count);
            }
        }
    }
    let node = |(raw, value): (&RawNode, f64)| Node { value, count: raw.count, split: raw.split.clone() };
    let nodes = raw.nodes.iter().zip(values).map(node).collect();
    (root.mean * weight(root.count), Tree { features, nodes })
}

/// Bends the tree's values so that declared directions hold everywhere: at a split on such a feature both sides get a
/// common bound half-way between their values, and nothing below may pass it. Other values stay.
pub(super) fn respect(tree: &mut Tree, declared: &[Monotone]) {
    if declared.is_empty() {
        return;
    }
    // Parents come before children: bounds are handed down in one pass.
    let mut bounds = vec![(f64::NEG_INFINITY, f64::INFINITY); tree.nodes.len()];
    for i in 0..tree.nodes.len() {
        let (Some((low, high)), Some(node)) = (bounds.get(i).copied(), tree.nodes.get_mut(i)) else { continue };
        node.value = node.value.clamp(low, high);
        let Some(Split { feature, left, right, .. }) = node.split.clone() else { continue };
        let name = tree.features.get(feature);
        let direction = declared.iter().find(|d| Some(&d.feature) == name).map(|d| d.direction);
        let value = |n: usize| tree.nodes.get(n).map_or(0.0, |n| n.value.clamp(low, high));
        let middle = (value(left) + value(right)) / 2.0;
        let (below, above) = match direction {
            None => ((low, high), (low, high)),
            Some(Direction::Rising) => ((low, middle), (middle, high)),
            Some(Direction::Falling) => ((middle, high), (low, middle)),
        };
        for (child, bound) in [(left, below), (right, above)] {
            if let Some(b) = bounds.get_mut(child) {
                *b = bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten rows, mean 0.2; six of them below 0.5 with mean -0.1, of which two are below 0.25 with mean -0.5 (so four
    /// with mean 0.1); four above with mean 0.65.
    fn example() -> RawTree {
        let split = |threshold, left, right| Some(Split { feature: 0, threshold, left, right });
        let node = |mean, count, split| RawNode { mean, count, split };
        RawTree {
            nodes: vec![
                node(0.2, 10, split(0.5, 1, 2)),
                node(-0.1, 6, split(0.25, 3, 4)),
                node(0.65, 4, None),
                node(-0.5, 2, None),
                node(0.1, 4, None),
            ],
        }
    }

    /// Computed by hand from the formula; the tolerance is that of a few roundings.
    #[test]
    fn values_are_those_of_the_formula_computed_by_hand() {
        let (offset, tree) = shrink(&example(), Some(30.0), vec!["x".into()]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
        near(offset, 0.2 * 10.0 / 40.0);
        let left = (-0.1 - 0.2) / (1.0 + 30.0 / 10.0);
        near(tree.predict(&[0.3]).0, left + (0.1 - -0.1) / (1.0 + 30.0 / 6.0));
        near(tree.predict(&[0.1]).0, left + (-0.5 - -0.1) / (1.0 + 30.0 / 6.0));
        near(tree.predict(&[0.9]).0, (0.65 - 0.2) / (1.0 + 30.0 / 10.0));
        assert_eq!(tree.nodes.iter().map(|n| n.count).collect::<Vec<_>>(), [10, 6, 4, 2, 4]);
    }

    #[test]
    fn at_infinity_every_value_is_exactly_zero() {
        let (offset, tree) = shrink(&example(), None, vec!["x".into()]);
        assert_eq!(offset, 0.0);
        assert!(tree.nodes.iter().all(|n| n.value == 0.0));
    }

    #[test]
    fn with_hardly_any_shrinkage_a_leaf_answers_with_its_mean() {
        let (offset, tree) = shrink(&example(), Some(1e-12), vec!["x".into()]);
        assert!((offset + tree.predict(&[0.1]).0 - -0.5).abs() < 1e-9);
    }

    #[test]
    fn a_declared_direction_holds_everywhere_and_what_agrees_with_it_stays() {
        let declare = |direction| [Monotone { feature: "x".into(), direction }];
        let tree = shrink(&example(), Some(30.0), vec!["x".into()]).1;
        let at = |tree: &Tree| [0.1, 0.3, 0.9].map(|x| tree.predict(&[x]).0);
        let mut rising = tree.clone();
        respect(&mut rising, &declare(Direction::Rising));
        assert_eq!(rising, tree, "it rises already");
        let mut falling = tree.clone();
        respect(&mut falling, &declare(Direction::Falling));
        let [a, b, c] = at(&falling);
        assert!(a >= b && b >= c, "{a} {b} {c}");
        let mut other = tree.clone();
        respect(&mut other, &[Monotone { feature: "y".into(), direction: Direction::Falling }]);
        assert_eq!(other, tree);
    }
}
