//! What a configuration asks for that this daemon cannot find on this host: told when it comes into force, before the
//! first flow passes by a rule.

use pointsman_config::Setup;
use pointsman_config::setup::OnUnknown;
use pointsman_os::owner::may_see_others;
use pointsman_policy::Need;

use crate::logging::flows::SEE_OTHERS;

/// The warning, where there is one.
pub(super) fn of(setup: &Setup) -> Option<String> {
    if may_see_others() {
        return None;
    }
    let mut policies = setup.policies.iter();
    let (policy, rule) = policies.find_map(|it| Some((it, it.first_asking(Need::Owner)?)))?;
    let then = match policy.on_unknown {
        OnUnknown::Skip => "do not hold for their flows",
        OnUnknown::Reject => "refuse their flows",
    };
    Some(format!(
        "this daemon cannot see the programs of other users, so rules that ask for programs {then}; the first such rule is \
         {rule}; {SEE_OTHERS}"
    ))
}
