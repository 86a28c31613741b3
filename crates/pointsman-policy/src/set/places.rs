//! Where the entries of a table stand and how they are written: a column of lines, a column of form numbers.
//!
//! Invariant: both columns are as long as the table. A line takes three bytes, four in tables with a line of
//! 2^24 or above; a form number takes one, and from 255 on stands in a table of its own.

/// Stands for a form number that does not fit.
const FAR: u8 = u8::MAX;

/// The two columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Bytes a line, little-endian: 3 or 4.
    pub(super) width: u8,
    pub(super) lines: Box<[u8]>,
    pub(super) forms: Box<[u8]>,
    /// Entry and form number, by entry.
    pub(super) far: Box<[(u32, u32)]>,
}

/// The columns while they are filled, in any order, and then rearranged within.
#[derive(Debug)]
pub(super) struct PlacesBuilder {
    width: usize,
    lines: Vec<u8>,
    forms: Vec<u8>,
    /// As they were set before [`Self::settle`].
    settled: Box<[(u32, u32)]>,
    far: Vec<(u32, u32)>,
}

/// Where an entry stands, and the number of the form that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// From 1.
    pub(super) line: u32,
    pub(super) form: u32,
}

impl Places {
    pub(super) fn get(&self, entry: u32) -> Option<At> {
        let width = usize::from(self.width);
        get(&self.lines, width, &self.forms, &self.far, entry)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() + self.forms.len() + size_of_val(&*self.far)
    }
}

impl PlacesBuilder {
    /// Columns of `count` entries, none of which stands below `last_line`.
    pub(super) fn new(count: usize, last_line: u32) -> Self {
        let width = if last_line < 1 << 24 { 3 } else { 4 };
        Self {
            width,
            lines: vec![0; count * width],
            forms: vec![0; count],
            settled: Box::default(),
            far: Vec::new(),
        }
    }

    /// Sets an entry's place: once before [`Self::settle`] and once after.
    pub(super) fn set(&mut self, entry: u32, at: At) {
        let (index, width) = (entry as usize, self.width);
        let [a, b, c, d] = at.line.to_le_bytes();
        match self.lines.get_mut(index * width..(index + 1) * width) {
            Some([x, y, z]) => [*x, *y, *z] = [a, b, c],
            Some(place) => place.copy_from_slice(&[a, b, c, d]),
            None => {}
        }
        let near = u8::try_from(at.form).ok().filter(|form| *form != FAR);
        if let Some(place) = self.forms.get_mut(index) {
            *place = near.unwrap_or(FAR);
        }
        if near.is_none() {
            self.far.push((entry, at.form));
        }
    }

    /// All entries are set; from here on they are read, and set anew, no later than where they are read.
    pub(super) fn settle(&mut self) {
        self.far.sort_unstable();
        self.settled = std::mem::take(&mut self.far).into_boxed_slice();
    }

    pub(super) fn get(&self, entry: u32) -> Option<At> {
        get(&self.lines, self.width, &self.forms, &self.settled, entry)
    }

    /// The columns of the first `count` entries.
    pub(super) fn finish(mut self, count: usize) -> Places {
        self.lines.truncate(count * self.width);
        self.forms.truncate(count);
        self.far.sort_unstable();
        Places {
            width: self.width as u8,
            lines: self.lines.into_boxed_slice(),
            forms: self.forms.into_boxed_slice(),
            far: self.far.into_boxed_slice(),
        }
    }
}

fn get(lines: &[u8], width: usize, forms: &[u8], far: &[(u32, u32)], entry: u32) -> Option<At> {
    let at = entry as usize;
    let line = match *lines.get(at * width..(at + 1) * width)? {
        [a, b, c] => [a, b, c, 0],
        [a, b, c, d] => [a, b, c, d],
        _ => return None,
    };
    let form = match *forms.get(at)? {
        FAR => {
            let place = far.binary_search_by_key(&entry, |(entry, _)| *entry);
            far.get(place.ok()?)?.1
        }
        near => u32::from(near),
    };
    Some(At {
        line: u32::from_le_bytes(line),
        form,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_back_what_was_set_even_when_rearranged() {
        for last_line in [300_000, 1 << 24] {
            let at = |entry: u32| At {
                line: last_line - entry,
                form: entry,
            };
            let mut places = PlacesBuilder::new(600, last_line);
            for entry in (0..600).rev() {
                places.set(entry, at(entry));
            }
            places.settle();
            // Every second one moves to the front.
            for entry in 0..300 {
                let moved = places.get(2 * entry).unwrap();
                places.set(entry, moved);
            }
            let places = places.finish(300);
            for entry in 0..300 {
                assert_eq!(places.get(entry), Some(at(2 * entry)));
            }
            assert_eq!(places.get(300), None);
            let width = if last_line == 1 << 24 { 4 } else { 3 };
            assert_eq!(places.lines.len(), 300 * width);
        }
    }
}
