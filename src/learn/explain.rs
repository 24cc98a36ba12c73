//! A scorer in words: its tree, and which inputs matter how much.

use crate::domain::scorer::Scorer;
use crate::domain::tree::{Node, Tree};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How much an input moves the scorer's answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// The input's name.
    pub feature: String,
    /// Its share of all movement; shares sum to 1.
    pub share: f64,
}

/// Which inputs matter: for every split the variance that it brings into the shrunken answers, weighted by the rows
/// that pass it, as a share of the whole. (linfa's own importance averages a node's decrease whatever its rows.)
pub fn importance(tree: &Tree) -> Vec<Importance> {
    let mut moved: BTreeMap<&str, f64> = BTreeMap::new();
    for node in &tree.nodes {
        let Some(split) = &node.split else { continue };
        let sides = [tree.nodes.get(split.left), tree.nodes.get(split.right)];
        let movement: f64 = sides.iter().flatten().map(|c| c.count as f64 * (c.value - node.value).powi(2)).sum();
        if let Some(name) = tree.features.get(split.feature) {
            *moved.entry(name).or_default() += movement;
        }
    }
    let all: f64 = moved.values().sum();
    if all <= 0.0 {
        return Vec::new();
    }
    let mut shares: Vec<Importance> =
        moved.into_iter().map(|(f, m)| Importance { feature: f.to_string(), share: m / all }).collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.feature.cmp(&b.feature)));
    shares
}

/// The scorer as indented text: what it was grown from, what it adds to every strategy but `keep`, and the splits with
/// the correction at each node (in bits per byte, offset included) and the rows behind it.
pub fn explain(scorer: &Scorer) -> String {
    let lambda = scorer.lambda.map_or("infinity (the rules alone)".to_string(), |l| l.to_string());
    let mut text = format!(
        "scorer {}: {} outcomes of {} cases, lambda {lambda}, common correction {:+.4} bits per byte\n",
        scorer.id, scorer.evidence, scorer.groups, scorer.offset
    );
    if scorer.lambda.is_none() {
        return text;
    }
    let mut seen = 0;
    walk(&scorer.tree, 0, "all", 0, scorer.offset, &mut seen, &mut text);
    for Importance { feature, share } in importance(&scorer.tree) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "importance {feature}: {:.1}%", share * 100.0);
    }
    text
}

fn walk(tree: &Tree, at: usize, label: &str, depth: usize, offset: f64, seen: &mut usize, text: &mut String) {
    let Some(Node { value, count, split }) = tree.nodes.get(at) else { return };
    *seen += 1;
    // A malformed tree (a cycle) ends here.
    if *seen > tree.nodes.len() {
        return;
    }
    let _ = writeln!(text, "{:indent$}{label}: {:+.4} ({count} rows)", "", offset + value, indent = 2 * depth);
    let Some(split) = split else { return };
    let name = tree.features.get(split.feature).map_or("?", String::as_str);
    let (below, above) = match name.strip_prefix("strategy=") {
        Some(strategy) => (format!("not {strategy}"), strategy.to_string()),
        None => (format!("{name} < {:.4}", split.threshold), format!("{name} >= {:.4}", split.threshold)),
    };
    walk(tree, split.left, &below, depth + 1, offset, seen, text);
    walk(tree, split.right, &above, depth + 1, offset, seen, text);
}
