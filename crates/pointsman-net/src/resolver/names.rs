//! What is said of names in advance, found by a look at the name and those above it.

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_policy::Domain;

/// Values by name, each for the name alone or for all below it, too.
#[derive(Debug)]
pub(crate) struct ByName<T>(HashMap<Arc<str>, Vec<Entry<T>>>);

#[derive(Debug)]
struct Entry<T> {
    /// Its place among all.
    place: usize,
    below: bool,
    value: T,
}

impl<T> ByName<T> {
    pub(crate) fn new(entries: impl IntoIterator<Item = (Domain, bool, T)>) -> Self {
        let mut table: HashMap<Arc<str>, Vec<Entry<T>>> = HashMap::new();
        for (place, (name, below, value)) in entries.into_iter().enumerate() {
            let entry = Entry {
                place,
                below,
                value,
            };
            table
                .entry(Arc::clone(name.text()))
                .or_default()
                .push(entry);
        }
        Self(table)
    }

    /// All that is said of a name, in the order that it was said in.
    pub(crate) fn all(&self, name: &Domain) -> Vec<&T> {
        let mut all: Vec<&Entry<T>> = self.covering(name).collect();
        all.sort_by_key(|entry| entry.place);
        all.into_iter().map(|entry| &entry.value).collect()
    }

    /// What is said of the nearest name.
    pub(crate) fn nearest(&self, name: &Domain) -> Option<&T> {
        self.covering(name).next().map(|entry| &entry.value)
    }

    fn covering<'a, 'n>(
        &'a self,
        name: &'n Domain,
    ) -> impl Iterator<Item = &'a Entry<T>> + use<'a, 'n, T> {
        // Most configurations say nothing.
        let names = name
            .ancestors()
            .take(if self.0.is_empty() { 0 } else { usize::MAX });
        names.flat_map(move |at| {
            let entries = self.0.get(at).map_or(&[][..], Vec::as_slice);
            entries
                .iter()
                .filter(move |entry| entry.below || at.len() == name.as_str().len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_alone_or_below_another() {
        let entries = [
            ("b.test", true, 1),
            ("a.b.test", false, 2),
            ("test", false, 3),
            ("a.b.test", true, 4),
        ];
        let entries = entries.map(|(name, below, n)| (Domain::parse(name).unwrap(), below, n));
        let table = ByName::new(entries);
        for (name, all, nearest) in [
            ("a.b.test", vec![1, 2, 4], Some(2)),
            ("x.a.b.test", vec![1, 4], Some(4)),
            ("b.test", vec![1], Some(1)),
            ("xb.test", vec![], None),
            ("test", vec![3], Some(3)),
        ] {
            let domain = Domain::parse(name).unwrap();
            assert_eq!(
                table.all(&domain).into_iter().copied().collect::<Vec<_>>(),
                all,
                "{name}"
            );
            assert_eq!(table.nearest(&domain).copied(), nearest, "{name}");
        }
    }
}
