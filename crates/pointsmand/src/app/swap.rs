//! One rule set of the configuration in force is replaced by a newer one.

use std::sync::Arc;

use pointsman_config::Setup;
use pointsman_config::files::Stamp;
use pointsman_config::setup::ListSource;
use pointsman_net::record::chain;
use pointsman_net::spec::Number;
use pointsman_policy::Policy;
use pointsman_policy::set::RuleSet;

use super::App;

impl App {
    /// Puts a set in force that was made for the configuration of that load, of that state of its copy: a minor
    /// generation. Nothing else changes; policies and their indexes are shared with the generation before. `false`
    /// where another load is in force by now: whoever keeps its lists finds the copy.
    pub(crate) async fn refresh(
        &self,
        load: u64,
        source: &ListSource,
        (set, stamp): (RuleSet, Stamp),
    ) -> Result<bool, String> {
        let _one_at_a_time = self.reloading.lock().await;
        let (number, setup) = self.generation();
        if number.load != load {
            return Ok(false);
        }
        let number = Number {
            refresh: number.refresh + 1,
            ..number
        };
        let policies = with_set(&setup.policies, source, Arc::new(set));
        let mut setup = Setup {
            policies: policies.clone(),
            ..Setup::clone(&setup)
        };
        for known in setup.sources.iter_mut().filter(|it| it.set == source.set) {
            known.read = Some(stamp);
        }
        // Known before it is in force: whoever drops this leaves no generation that nobody knows.
        self.book().keep(number, Arc::new(setup));
        let refreshed = self.plane.refresh(number, policies).await;
        let mut book = self.book();
        if let Err(error) = refreshed {
            book.forget(number);
            return Err(chain(&error));
        }
        book.trim(number);
        drop(book);
        pointsman_os::memory::give_back();
        Ok(true)
    }
}

/// All sets of a policy.
type Sets = Arc<[Arc<RuleSet>]>;

/// The policies with that set in the place of the one of its number and name. Policies that shared their sets go on
/// sharing them.
fn with_set(policies: &[Arc<Policy>], source: &ListSource, set: Arc<RuleSet>) -> Vec<Arc<Policy>> {
    let index = source.set.0 as usize;
    let mut made: Vec<(Sets, Sets)> = Vec::new();
    let mut renewed = Vec::with_capacity(policies.len());
    for policy in policies {
        if policy
            .sets
            .get(index)
            .is_none_or(|old| old.name != source.name)
        {
            renewed.push(Arc::clone(policy));
            continue;
        }
        let known = made.iter().find(|(old, _)| Arc::ptr_eq(old, &policy.sets));
        let sets = if let Some((_, new)) = known {
            Arc::clone(new)
        } else {
            let mut sets = policy.sets.to_vec();
            sets[index] = Arc::clone(&set);
            let sets: Sets = sets.into();
            made.push((Arc::clone(&policy.sets), Arc::clone(&sets)));
            sets
        };
        renewed.push(Arc::new(Policy {
            sets,
            ..Policy::clone(policy)
        }));
    }
    renewed
}
