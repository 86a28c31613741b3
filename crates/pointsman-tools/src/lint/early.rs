//! Rules for which clients are told of success before the way out is known: whoever wonders why a refusal
//! arrives as a reset finds the reason here.

use std::collections::HashSet;

use pointsman_policy::Need;

use super::clipped;
use pointsman_config::places::Places;
use pointsman_config::problem::Problems;
use pointsman_config::setup::Setup;

/// Notes the first such rule of each policy that an inbound uses; of policies that share it once.
pub(super) fn look(setup: &Setup, places: &mut Places<'_>, problems: &mut Problems) {
    let used: HashSet<usize> = setup
        .inbounds
        .iter()
        .map(|inbound| inbound.policy.0)
        .collect();
    let mut told = HashSet::new();
    for (number, policy) in setup.policies.iter().enumerate() {
        let Some(rule) = policy
            .first_asking_of_streams(Need::Sniff)
            .filter(|_| used.contains(&number))
        else {
            continue;
        };
        if !told.insert((&rule.file, rule.line, &rule.text)) {
            continue;
        }
        let message = format!(
            "`{}` ({}:{}) may need the first bytes of a flow. A SOCKS or CONNECT client sends them only \
             after it is told \"connected\", so it is told that before the outbound is tried: where \
             the outbound then fails or refuses, the client sees a reset and no error",
            clipped(&rule.text),
            rule.file,
            rule.line
        );
        problems.note("answers-early", &places.of(rule), message);
    }
}
