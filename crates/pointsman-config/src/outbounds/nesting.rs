//! How groups and chains stand within each other: circles, and what is deeper than flows are taken.
//!
//! Invariant: one pass over the outbounds and what they name, without recursion: each circle is told once, however
//! many outbounds and ways it has.

use std::collections::HashMap;

use pointsman_policy::OutboundId;
use pointsman_policy::model::MOST_NESTED;

use super::Outbounds;
use crate::problem::Problems;
use crate::setup::Kind;

/// Outbounds of a circle that its error names, half of them from its end.
const MOST_SHOWN: usize = 12;

/// Tells of each circle, and of each outbound at which a way becomes too long.
pub(crate) fn check(table: &Outbounds, problems: &mut Problems) {
    let mut walk = Walk::new(table);
    for start in 0..walk.nodes.len() {
        walk.visit(start);
    }
    let mut circles = walk.circles;
    circles.sort_unstable();
    for circle in &circles {
        let shown = shown(table, circle);
        if let Some((name, span)) = circle.first().and_then(|at| place(table, *at)) {
            let message = format!("`{name}` comes back to itself: {shown}");
            problems.error("outbound-cycle", span, message);
        }
    }
    walk.too_deep.sort_unstable();
    for at in walk.too_deep {
        if let Some((name, span)) = place(table, at) {
            let message = format!(
                "`{name}` has groups and chains within each other so that a flow passes more than {MOST_NESTED} outbounds; it is not taken further"
            );
            problems.error("outbound-depth", span, message).hint =
                Some("name the outbounds of the inner groups and chains here themselves".into());
        }
    }
}

/// Its name, and where it is defined.
fn place(table: &Outbounds, at: usize) -> Option<(&str, &crate::problem::Span)> {
    let id = id(at);
    table.name(id).zip(table.span(id))
}

/// `a` -> `b` -> `a`.
fn shown(table: &Outbounds, circle: &[usize]) -> String {
    let name = |at: &usize| format!("`{}`", table.name(id(*at)).unwrap_or("?"));
    let mut names: Vec<String> = match circle.len() {
        few if few <= MOST_SHOWN => circle.iter().map(name).collect(),
        many => {
            let half = MOST_SHOWN / 2;
            let begin = circle.iter().take(half).map(name);
            let left_out = format!("{} more", many - MOST_SHOWN);
            let end = circle.iter().skip(many - half).map(name);
            begin.chain([left_out]).chain(end).collect()
        }
    };
    names.extend(names.first().cloned());
    names.join(" -> ")
}

fn id(at: usize) -> OutboundId {
    OutboundId(u32::try_from(at).unwrap_or(u32::MAX))
}

/// An outbound while it is looked at.
#[derive(Clone, Copy, Default)]
struct Node {
    /// When it was met, from 1 on.
    met: usize,
    /// The first met of those that it leads to and that may lead back to it.
    low: usize,
    /// Whether it may be part of a circle that is still open.
    open: bool,
    /// Outbounds that a flow given to it passes at most.
    passes: usize,
}

/// Tarjan's search for what leads back to itself.
struct Walk<'t> {
    table: &'t Outbounds,
    nodes: Vec<Node>,
    met: usize,
    stack: Vec<usize>,
    circles: Vec<Vec<usize>>,
    too_deep: Vec<usize>,
}

impl<'t> Walk<'t> {
    fn new(table: &'t Outbounds) -> Self {
        Self {
            table,
            nodes: vec![Node::default(); table.list.len()],
            met: 0,
            stack: Vec::new(),
            circles: Vec::new(),
            too_deep: Vec::new(),
        }
    }

    fn parts(&self, at: usize) -> &'t [OutboundId] {
        match self.table.kind(id(at)) {
            Some(Kind::Through(hops)) => hops,
            Some(kind) => kind.selectable().unwrap_or_default(),
            None => &[],
        }
    }

    fn visit(&mut self, start: usize) {
        if self.nodes[start].met > 0 {
            return;
        }
        let mut way = vec![(start, self.meet(start))];
        while let Some((at, rest)) = way.last_mut() {
            let at = *at;
            if let Some(part) = rest.next() {
                let part = part.0 as usize;
                let Some(node) = self.nodes.get(part).copied() else {
                    continue;
                };
                if node.met == 0 {
                    way.push((part, self.meet(part)));
                } else if node.open {
                    self.nodes[at].low = self.nodes[at].low.min(node.met);
                }
                continue;
            }
            way.pop();
            if self.nodes[at].low == self.nodes[at].met {
                self.close(at);
            }
            if let Some((above, _)) = way.last() {
                let low = self.nodes[at].low;
                let above = &mut self.nodes[*above];
                above.low = above.low.min(low);
            }
        }
    }

    fn meet(&mut self, at: usize) -> std::slice::Iter<'t, OutboundId> {
        self.met += 1;
        self.stack.push(at);
        self.nodes[at] = Node {
            met: self.met,
            low: self.met,
            open: true,
            passes: 1,
        };
        self.parts(at).iter()
    }

    /// Takes what leads back to `first`, which was met first of it, off the stack.
    fn close(&mut self, first: usize) {
        let from = self.stack.iter().rposition(|at| *at == first).unwrap_or(0);
        let all = self.stack.split_off(from);
        for at in &all {
            self.nodes[*at].open = false;
        }
        let itself = self.parts(first).contains(&id(first));
        if all.len() > 1 || itself {
            self.circles.extend(self.circle(&all));
            return;
        }
        let passes = |part: &OutboundId| self.nodes.get(part.0 as usize).map_or(0, |n| n.passes);
        let parts = self.parts(first);
        let below: usize = match self.table.kind(id(first)) {
            Some(Kind::Through(_)) => parts.iter().map(passes).sum(),
            _ => parts.iter().map(passes).max().unwrap_or(0),
        };
        let most = usize::from(MOST_NESTED);
        self.nodes[first].passes = 1 + below;
        if below >= most {
            self.too_deep.push(first);
            // Told where the way becomes too long, and not again for each that leads there.
            self.nodes[first].passes = 1;
        }
    }

    /// The shortest way back to the first defined of these, which all lead to each other.
    fn circle(&self, all: &[usize]) -> Option<Vec<usize>> {
        let start = *all.iter().min()?;
        let mut before: HashMap<usize, Option<usize>> = all.iter().map(|at| (*at, None)).collect();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for part in self.parts(at).iter().map(|part| part.0 as usize) {
                if part == start {
                    let mut way = vec![at];
                    while let Some(Some(above)) = way
                        .last()
                        .filter(|at| **at != start)
                        .and_then(|at| before.get(at))
                    {
                        way.push(*above);
                    }
                    way.reverse();
                    return Some(way);
                }
                if let Some(above @ None) = before.get_mut(&part) {
                    *above = Some(at);
                    queue.push_back(part);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Source;
    use crate::setup::{Group, How, Uplink};

    /// The problems of groups and chains, each given by the numbers of what it names.
    fn told(groups: &[(bool, Vec<u32>)]) -> Vec<String> {
        let source = Source::new("t.yaml", String::new());
        let (mut table, mut problems) = (Outbounds::default(), Problems::default());
        for (at, (chain, parts)) in groups.iter().enumerate() {
            let parts: Vec<OutboundId> = parts.iter().map(|at| OutboundId(*at)).collect();
            let kind = match (parts.is_empty(), chain) {
                (true, _) => Kind::direct(),
                (_, true) => Kind::Through(parts),
                (_, false) => Kind::Choose(Group {
                    members: parts,
                    how: How::Selected {
                        uplink: Uplink::default(),
                    },
                }),
            };
            table.define(&format!("o{at}"), kind, &source.span(0, 0), &mut problems);
        }
        check(&table, &mut problems);
        problems
            .0
            .into_iter()
            .map(|problem| problem.sentence())
            .collect()
    }

    fn select(parts: impl IntoIterator<Item = u32>) -> (bool, Vec<u32>) {
        (false, parts.into_iter().collect())
    }

    #[test]
    fn a_circle_is_told_once_and_shortly() {
        let circle: Vec<_> = (0..5000).map(|at| select([(at + 1) % 5000])).collect();
        let told = told(&circle);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("`o5` -> 4988 more -> `o4994`"), "{told:?}");
        assert!(told[0].ends_with("`o4999` -> `o0`"), "{told:?}");
    }

    #[test]
    fn a_circle_is_the_shortest_way_back() {
        let found = told(&[
            select([1, 2]),
            select([2]),
            select([3]),
            select([1, 0]),
            select([4]),
        ]);
        assert_eq!(
            found,
            [
                "`o0` comes back to itself: `o0` -> `o2` -> `o3` -> `o0`",
                "`o4` comes back to itself: `o4` -> `o4`"
            ]
        );
    }

    /// All of them name all: a billion circles, of which one is told.
    #[test]
    fn what_names_everything_is_one_circle() {
        let all: Vec<_> = (0..300).map(|_| select(0..300)).collect();
        assert_eq!(told(&all), ["`o0` comes back to itself: `o0` -> `o0`"]);
    }

    #[test]
    fn only_what_flows_are_taken_through_may_be_nested() {
        let nested = |deep: u32| {
            (0..deep)
                .map(|at| select((at + 1 < deep).then_some(at + 1)))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&nested(12)), [""; 0]);
        let found = told(&nested(13));
        assert!(
            found.len() == 1 && found[0].starts_with("`o0` has groups and chains"),
            "{found:?}"
        );
        let found = told(&nested(20));
        assert!(
            found.len() == 1 && found[0].starts_with("`o7` has"),
            "{found:?}"
        );
        // Each hop is one that a flow passes.
        let hops = |count: u32| vec![(false, vec![]), (true, vec![0; count as usize])];
        assert_eq!(told(&hops(11)), [""; 0]);
        assert_eq!(told(&hops(12)).len(), 1);
    }
}
