//! Where a forward connects to, as rows.

use super::{Outliner, Row, RowKind, row};
use crate::picture::scene::{Targets, address};
use crate::setup::Balance;

impl Outliner<'_> {
    /// The targets of a forward, below the word for how one is chosen.
    pub(super) fn targets(&self, forward: &Targets<'_>) -> Vec<Row> {
        let balancing = forward.balancing;
        if let Some(why) = balancing.and_then(|it| it.not_yet.as_ref()) {
            let text = format!("every connection is refused: {why}");
            return vec![row(RowKind::Note, text, None)];
        }
        let targets = forward.list.iter().map(|(name, target)| {
            let text = format!("{name} at {}", address(&target.address));
            let mut found = row(RowKind::Rule, text, None);
            found.target = Some(self.target(target.via.unwrap_or(self.policy.direct)));
            found
        });
        let targets: Vec<Row> = targets.collect();
        let text = match balancing.map(|it| it.balance).unwrap_or_default() {
            _ if targets.len() < 2 => return targets,
            Balance::Failover => "the first that can be reached",
            Balance::None => "the first alone",
            Balance::RoundRobin => "each in turn",
            Balance::Source => "each client's own",
        };
        let mut choice = row(RowKind::Branch, text.to_owned(), None);
        choice.rows = targets;
        vec![choice]
    }
}
