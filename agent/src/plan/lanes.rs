//! Which targets are the same device.

use std::collections::{BTreeMap, VecDeque};

use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::want::Target;

/// The place of a lane in the plan.
pub(super) type Lane = usize;

/// Puts targets that are the same device into the same lane. Lanes are in the order of their first
/// target.
pub(super) fn lanes(targets: &[Target]) -> (Vec<VecDeque<TargetNo>>, BTreeMap<TargetNo, Lane>) {
    let mut by_endpoint: BTreeMap<&Endpoint, usize> = BTreeMap::new();
    let mut by_mac: BTreeMap<MacAddr, usize> = BTreeMap::new();
    let mut sets = Sets::new(targets.len());
    for (index, target) in targets.iter().enumerate() {
        let first = *by_endpoint.entry(&target.endpoint).or_insert(index);
        sets.join(first, index);
        if let Some(mac) = target.known_mac.filter(|mac| mac.is_unicast()) {
            let first = *by_mac.entry(mac).or_insert(index);
            sets.join(first, index);
        }
    }
    let mut lanes: Vec<VecDeque<TargetNo>> = Vec::new();
    let mut lane_of_set: BTreeMap<usize, Lane> = BTreeMap::new();
    let mut lane_of = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        if lane_of.contains_key(&target.number) {
            continue;
        }
        let lane = *lane_of_set.entry(sets.find(index)).or_insert_with(|| {
            lanes.push(VecDeque::new());
            lanes.len() - 1
        });
        if let Some(queue) = lanes.get_mut(lane) {
            queue.push_back(target.number);
            lane_of.insert(target.number, lane);
        }
    }
    (lanes, lane_of)
}

/// Disjoint sets of indices.
struct Sets(Vec<usize>);

impl Sets {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn find(&mut self, index: usize) -> usize {
        let mut root = index;
        while let Some(parent) = self.0.get(root).copied()
            && parent != root
        {
            // Halving the path keeps it short.
            let grand = self.0.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.0.get_mut(root) {
                *slot = grand;
            }
            root = grand;
        }
        root
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}
