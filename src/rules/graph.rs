//! Who is above whom among a few hundred named nodes: shortest ways up, shared descendants, cycles.
//! Knows nothing of what the nodes mean.

use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// A directed acyclic graph by id, with all shortest distances upwards worked out once.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    ids: Vec<Arc<str>>,
    index: FxHashMap<Arc<str>, usize>,
    parents: Vec<Vec<usize>>,
    /// Per node: its ancestors and itself with the distance, nearest first.
    above: Vec<FxHashMap<usize, u32>>,
}

impl Graph {
    /// A graph of `(id, parents)`; parents that don't exist are left out (the loader reports them), and so are
    /// edges that would close a cycle, which are returned.
    pub(super) fn new(nodes: &[(Arc<str>, Vec<Arc<str>>)]) -> (Self, Vec<Arc<str>>) {
        let ids: Vec<Arc<str>> = nodes.iter().map(|(id, _)| Arc::clone(id)).collect();
        let index: FxHashMap<Arc<str>, usize> = ids.iter().enumerate().map(|(at, id)| (Arc::clone(id), at)).collect();
        let mut graph = Self { parents: vec![Vec::new(); ids.len()], above: Vec::new(), ids, index };
        let mut cyclic = Vec::new();
        for (at, (id, parents)) in nodes.iter().enumerate() {
            for parent in parents.iter().filter_map(|parent| graph.index.get(parent).copied()) {
                if graph.ways_up(parent).contains_key(&at) {
                    cyclic.push(Arc::clone(id));
                } else {
                    graph.parents[at].push(parent);
                }
            }
        }
        graph.above = (0..graph.ids.len()).map(|at| graph.ways_up(at)).collect();
        (graph, cyclic)
    }

    /// Breadth first from one node upwards.
    fn ways_up(&self, start: usize) -> FxHashMap<usize, u32> {
        let mut seen = FxHashMap::default();
        seen.insert(start, 0);
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((node, distance)) = queue.pop_front() {
            for &parent in &self.parents[node] {
                seen.entry(parent).or_insert_with(|| {
                    queue.push_back((parent, distance + 1));
                    distance + 1
                });
            }
        }
        seen
    }

    /// Steps from `narrow` up to `broad`, 0 for the same node.
    pub(super) fn distance(&self, narrow: &str, broad: &str) -> Option<u32> {
        let (narrow, broad) = (self.index.get(narrow)?, self.index.get(broad)?);
        self.above[*narrow].get(broad).copied()
    }

    /// The nodes of a shortest way from `narrow` up to `broad`, both included.
    pub(super) fn path(&self, narrow: &str, broad: &str) -> Option<Vec<&str>> {
        let mut left = self.distance(narrow, broad)?;
        let (mut node, goal) = (*self.index.get(narrow)?, *self.index.get(broad)?);
        let mut way = vec![&*self.ids[node]];
        while left > 0 {
            left -= 1;
            node = *self.parents[node].iter().find(|parent| self.above[**parent].get(&goal) == Some(&left))?;
            way.push(&self.ids[node]);
        }
        Some(way)
    }

    /// Whether some node is at or below both.
    pub(super) fn common_descendant(&self, a: &str, b: &str) -> bool {
        let (Some(a), Some(b)) = (self.index.get(a), self.index.get(b)) else { return false };
        self.above.iter().any(|above| above.contains_key(a) && above.contains_key(b))
    }

    /// Ids directly below.
    pub(super) fn children(&self, id: &str) -> Vec<&str> {
        let Some(at) = self.index.get(id) else { return Vec::new() };
        self.ids.iter().zip(&self.parents).filter(|(_, parents)| parents.contains(at)).map(|(id, _)| &**id).collect()
    }
}
