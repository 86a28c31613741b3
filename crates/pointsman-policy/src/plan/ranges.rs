//! Ranges of addresses or ports, any two of them disjoint or one within the other: which rules' ranges hold a point.
//!
//! The line of points is cut where any range begins or ends; each piece knows the innermost range that holds it, each
//! range the one around it and the earliest rule among itself and all around. So a look-up is one search among the
//! cuts, narrowed by the point's first bits.
//!
//! Invariant: as many cuts as twice the ranges at most, however they are nested.

use super::postings::{NOWHERE, Runs};

/// An address of one family, or a port in the upper half.
pub(crate) trait Point: Copy + Ord {
    /// The bits by which cuts are found: never less for a later point.
    fn high(self) -> u32;
    /// The next point; `None` behind the last.
    fn after(self) -> Option<Self>;
}

/// Ranges of one kind of point.
#[derive(Clone, Debug)]
pub(crate) struct Ranges<P> {
    /// Ascending; before the first there is no range.
    pieces: Box<[Piece<P>]>,
    ranges: Box<[Range]>,
    runs: Runs,
    /// By the first bits of a point: how many pieces begin with lesser ones.
    top: Box<[u32]>,
    /// What is left of 32 bits behind those first ones.
    shift: u32,
}

/// The points from one cut to the next.
#[derive(Clone, Copy, Debug)]
struct Piece<P> {
    start: P,
    /// The innermost range, or [`NONE`].
    innermost: u32,
    /// The earliest rule of that range or one around it, or [`NOWHERE`]. It stands here too, for most look-ups need no
    /// more.
    earliest: u32,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    /// The earliest rule of this range or one around it.
    earliest: u32,
    /// As in [`Runs`].
    own: u32,
    /// The next one around it, or [`NONE`].
    around: u32,
}

const NONE: u32 = u32::MAX;

/// First bits that are indexed at most: 256 KiB.
const MOST_BITS: u32 = 16;

impl<P: Point> Ranges<P> {
    /// Of first and last points and a rule's position.
    pub(super) fn new(mut all: Vec<(P, P, u32)>) -> Self {
        all.sort_unstable_by(|a, b| (a.0, b.1, a.2).cmp(&(b.0, a.1, b.2)));
        all.dedup();
        let mut built = Self {
            pieces: Box::default(),
            ranges: Box::default(),
            runs: Runs::default(),
            top: Box::default(),
            shift: 0,
        };
        let mut cuts = Cuts {
            cuts: Vec::new(),
            open: Vec::new(),
        };
        let mut ranges: Vec<Range> = Vec::new();
        for same in all.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (start, end, first) = same[0];
            cuts.close(Some(start));
            let around = cuts.innermost();
            let outer = ranges.get(around as usize);
            let number = ranges.len() as u32;
            ranges.push(Range {
                earliest: outer.map_or(first, |outer| outer.earliest.min(first)),
                own: built.runs.add(same.iter().map(|(_, _, at)| *at)),
                around,
            });
            cuts.open.push((end, number));
            cuts.cut(start);
        }
        cuts.close(None);
        let earliest = |number: u32| ranges.get(number as usize).map(|range| range.earliest);
        let piece = |(start, innermost): &(P, u32)| Piece {
            start: *start,
            innermost: *innermost,
            earliest: earliest(*innermost).unwrap_or(NOWHERE),
        };
        built.pieces = cuts.cuts.iter().map(piece).collect();
        built.ranges = ranges.into();
        built.runs.shrink();
        built.index();
        built
    }

    /// The earliest rule from `from` on that has a range with this point.
    #[inline]
    pub(crate) fn next(&self, point: P, from: u32) -> u32 {
        let bucket = (point.high() >> self.shift) as usize;
        let Some([low, high]) = self.top.get(bucket..).and_then(<[u32]>::first_chunk) else {
            return NOWHERE;
        };
        let near = self
            .pieces
            .get(*low as usize..*high as usize)
            .unwrap_or_default();
        let cut = *low as usize + near.partition_point(|piece| piece.start <= point);
        let Some(piece) = cut.checked_sub(1).and_then(|piece| self.pieces.get(piece)) else {
            return NOWHERE;
        };
        if piece.earliest >= from {
            return piece.earliest;
        }
        let mut best = NOWHERE;
        let mut number = piece.innermost;
        while let Some(range) = self.ranges.get(number as usize) {
            if range.earliest >= from {
                return best.min(range.earliest);
            }
            best = best.min(self.runs.next(range.own, from));
            number = range.around;
        }
        best
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.pieces)
            + size_of_val(&*self.ranges)
            + size_of_val(&*self.top)
            + self.runs.bytes()
    }

    /// About as many buckets as pieces.
    fn index(&mut self) {
        let bits = self.pieces.len().next_power_of_two().ilog2().min(MOST_BITS);
        // A shift by all 32 bits is none; one bit costs nothing.
        self.shift = 32 - bits.max(1);
        let mut pieces = self.pieces.iter().enumerate().peekable();
        let mut top = Vec::with_capacity((1 << bits.max(1)) + 1);
        for bucket in 0..1_u32 << bits.max(1) {
            while pieces
                .next_if(|(_, piece)| piece.start.high() >> self.shift < bucket)
                .is_some()
            {}
            let next = pieces.peek().map_or(self.pieces.len(), |(at, _)| *at);
            top.push(next as u32);
        }
        top.push(self.pieces.len() as u32);
        self.top = top.into();
    }
}

/// Cuts while they are made.
struct Cuts<P> {
    /// With the innermost range behind each.
    cuts: Vec<(P, u32)>,
    /// The ranges around the place that was come to, with their ends.
    open: Vec<(P, u32)>,
}

impl<P: Point> Cuts<P> {
    fn innermost(&self) -> u32 {
        self.open.last().map_or(NONE, |(_, number)| *number)
    }

    /// Cuts behind those ranges that end before `start`, or behind all.
    fn close(&mut self, start: Option<P>) {
        while let Some((end, _)) = self.open.last().copied()
            && start.is_none_or(|start| end < start)
        {
            self.open.pop();
            if let Some(after) = end.after() {
                self.cut(after);
            }
        }
    }

    fn cut(&mut self, at: P) {
        let innermost = self.innermost();
        match self.cuts.last_mut() {
            Some((last, range)) if *last == at => *range = innermost,
            _ => self.cuts.push((at, innermost)),
        }
    }
}

impl Point for u32 {
    fn high(self) -> u32 {
        self
    }

    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Point for u128 {
    fn high(self) -> u32 {
        // Nearly all ranges are of 2000::/3: the bits behind tell them apart.
        match (self >> 125) as u8 {
            0 => 0,
            1 => (self >> 93) as u32,
            _ => u32::MAX,
        }
    }

    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Aligned ranges over five bits, at the upper end of the line.
    fn any_ranges() -> impl Strategy<Value = Vec<(u8, u8, u32)>> {
        let aligned = (0..=5_u8, 0..32_u8, 0..20_u32);
        proptest::collection::vec(aligned, 0..20)
    }

    proptest! {
        #[test]
        fn the_earliest_range_with_a_point_is_found(ranges in any_ranges(), from in 0..21_u32) {
            let bounds = |(bits, at, position): &(u8, u8, u32)| {
                let first = at >> bits << bits;
                (first, first + ((1_u8 << bits) - 1), *position)
            };
            let ranges: Vec<(u8, u8, u32)> = ranges.iter().map(bounds).collect();
            let wide = |point: u8| u32::MAX - 31 + u32::from(point);
            let narrow = ranges.iter().map(|(s, e, at)| (wide(*s), wide(*e), *at)).collect();
            let spread = |point: u8| u128::from(point) << 123;
            let last = |point: u8| spread(point) | (u128::MAX >> 5);
            let widest = ranges.iter().map(|(s, e, at)| (spread(*s), last(*e), *at)).collect();
            let (narrow, widest) = (Ranges::<u32>::new(narrow), Ranges::<u128>::new(widest));
            for point in 0..32_u8 {
                let holds = |(s, e, at): &&(u8, u8, u32)| (*s..=*e).contains(&point) && *at >= from;
                let earliest = ranges.iter().filter(holds).map(|(_, _, at)| *at).min();
                prop_assert_eq!(narrow.next(wide(point), from), earliest.unwrap_or(NOWHERE));
                prop_assert_eq!(widest.next(last(point), from), earliest.unwrap_or(NOWHERE));
            }
            prop_assert_eq!(narrow.next(7, from), NOWHERE);
        }
    }
}
