//! Where a forward connects to, as rows.

use super::{Kind, Outliner, Row, row};
use crate::picture::scene::address;
use crate::setup::{Balance, Forward};

impl Outliner<'_> {
    /// The targets of a forward, below the word for how one is chosen.
    pub(super) fn targets(&self, forward: &Forward) -> Vec<Row> {
        if let Some(why) = &forward.not_yet {
            let text = format!("every connection is refused: {why}");
            return vec![row(Kind::Note, text, None)];
        }
        let targets = forward.targets.iter().map(|target| {
            let text = format!("{} at {}", target.name, address(&target.address));
            let mut found = row(Kind::Rule, text, None);
            found.target = Some(self.target(target.via.unwrap_or(self.policy.direct)));
            found
        });
        let targets: Vec<Row> = targets.collect();
        let text = match forward.balance {
            _ if targets.len() < 2 => return targets,
            Balance::Failover => "the first that can be reached",
            Balance::None => "the first alone",
            Balance::RoundRobin => "each in turn",
            Balance::Sni => "by the name that the client asks for",
        };
        let mut choice = row(Kind::Branch, text.to_owned(), None);
        choice.rows = targets;
        vec![choice]
    }
}
