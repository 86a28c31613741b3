//! One rule set of the configuration in force is replaced by a newer one.

use std::sync::Arc;

use pointsman_config::files::Stamp;
use pointsman_config::setup::{FlowTest, ListSource};
use pointsman_config::{Setup, Span, case};
use pointsman_net::record::chain;
use pointsman_net::spec::Number;
use pointsman_net::spec::dns::QueryPolicies;
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
        let (before, setup) = self.generation();
        if before.load != load {
            return Ok(false);
        }
        let number = Number {
            refresh: before.refresh + 1,
            ..before
        };
        let mut all = setup.policies.clone();
        if let Some(dns) = &setup.dns {
            all.push(Arc::clone(&dns.what.policy));
            all.extend(dns.what.answers.iter().map(|it| Arc::clone(&it.policy)));
        }
        let mut policies = with_set(&all, source, Arc::new(set));
        let mut of_queries = policies.split_off(setup.policies.len()).into_iter();
        let of_queries = of_queries.next().map(|queries| QueryPolicies {
            queries,
            answers: of_queries.next(),
        });
        let mut renewed = Setup {
            policies: policies.clone(),
            ..Setup::clone(&setup)
        };
        if let Some((dns, policies)) = renewed.dns.as_mut().zip(of_queries.as_ref()) {
            dns.what.policy = Arc::clone(&policies.queries);
            if let Some((answers, policy)) =
                dns.what.answers.as_mut().zip(policies.answers.as_ref())
            {
                answers.policy = Arc::clone(policy);
            }
        }
        for known in renewed.sources.iter_mut().filter(|it| it.set == source.set) {
            known.read = Some(stamp);
        }
        // The list is what the operator subscribed to: it serves, whatever the tests say of it.
        let testing = tokio::task::spawn_blocking(move || {
            case::retest(&mut renewed);
            renewed
        });
        let renewed = testing.await.map_err(|error| error.to_string())?;
        let renewed = Arc::new(renewed);
        let prepared = self
            .plane
            .prepare_refresh(number, policies, of_queries)
            .await;
        let prepared = prepared.map_err(|error| chain(&error))?;
        let mut book = self.book();
        self.plane.commit_refresh(prepared, Arc::clone(&renewed));
        book.replaced((before, Arc::clone(&setup)), number.load);
        drop(book);
        tell_tests(source, &setup.tests, &renewed.tests);
        pointsman_os::memory::give_back();
        Ok(true)
    }
}

/// The most tests that are told one by one where a list changed.
const MOST_TOLD: usize = 10;

/// Tells which of the policy's tests fail now, and which come out again.
fn tell_tests(source: &ListSource, before: &[FlowTest], now: &[FlowTest]) {
    let pairs = || before.iter().zip(now);
    let newly = |(old, new): (&FlowTest, &FlowTest)| match (&old.failing, &new.failing) {
        (None, Some(failing)) => Some((new.clone(), failing.clone())),
        _ => None,
    };
    let (name, at) = (&source.name, &source.span);
    let place = |span: &Span| format!("{}:{}", span.file(), span.line());
    let at = place(at);
    let failing: Vec<_> = pairs().filter_map(newly).collect();
    for (test, failing) in failing.iter().take(MOST_TOLD) {
        tracing::warn!(
            "rule set `{name}` ({at}): as it was fetched now, the policy's own test `{} => {}` ({}) fails: it gets `{}`: {}; \
             the list is in force all the same",
            test.flow,
            test.expect,
            place(&test.span),
            failing.got,
            failing.reason
        );
    }
    if failing.len() > MOST_TOLD {
        let more = failing.len() - MOST_TOLD;
        tracing::warn!("rule set `{name}` ({at}): {more} more of the policy's own tests fail");
    }
    let again = pairs().filter(|(old, new)| old.failing.is_some() && new.failing.is_none());
    let again = again.count();
    if again > 0 {
        tracing::info!(
            "rule set `{name}` ({at}): {again} of the policy's own tests come out again"
        );
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
