//! Entries by number, where a number that was given back is told from the one that took its place.
//!
//! Invariant: a key finds the entry that it was given for, or none.

use std::marker::PhantomData;

/// The number of an entry; `T` tells keys of different slabs apart.
#[derive(Debug)]
pub(super) struct Key<T> {
    index: u32,
    /// How often the place was given away before.
    round: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// The number of its place: small, and another entry's once this one is gone.
    pub(super) fn place(self) -> u32 {
        self.index
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.round) == (other.index, other.round)
    }
}

impl<T> Eq for Key<T> {}

/// Entries by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    round: u32,
    entry: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, entry: T) -> Key<T> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                round: 0,
                entry: None,
            });
            // Limits of flows end far below that.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[index as usize];
        place.entry = Some(entry);
        Key {
            index,
            round: place.round,
            of: PhantomData,
        }
    }

    pub(super) fn get(&self, key: Key<T>) -> Option<&T> {
        let place = self.places.get(key.index as usize)?;
        place.entry.as_ref().filter(|_| place.round == key.round)
    }

    pub(super) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize)?;
        place.entry.as_mut().filter(|_| place.round == key.round)
    }

    /// The key of what stands at that place now.
    pub(super) fn at(&self, index: u32) -> Option<Key<T>> {
        let place = self.places.get(index as usize)?;
        place.entry.as_ref().map(|_| Key {
            index,
            round: place.round,
            of: PhantomData,
        })
    }

    pub(super) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.round != key.round {
            return None;
        }
        let entry = place.entry.take()?;
        place.round = place.round.wrapping_add(1);
        self.free.push(key.index);
        Some(entry)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key<T>> + '_ {
        let indices = 0..u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        indices.filter_map(|index| self.at(index))
    }

    /// How many places there are, taken or free: keys have lower ones.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_own_entry_or_none() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        let second = slab.insert("second");
        assert_eq!(slab.remove(first), Some("first"));
        assert_eq!(slab.remove(first), None);
        let third = slab.insert("third");
        assert_eq!(third.place(), first.place());
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get(third), Some(&"third"));
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert!(slab.at(first.place()) == Some(third));
        assert_eq!((slab.len(), slab.keys().count()), (2, 2));
    }
}
