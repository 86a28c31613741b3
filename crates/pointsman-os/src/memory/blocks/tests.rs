//! Blocks are whole, apart from each other, and used again.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn slabs(blocks: &Blocks) -> usize {
    (0..SIZES).map(|size| blocks.of(size).slabs).sum()
}

#[test]
fn only_small_blocks_at_multiples_of_128_are_cut_from_slabs() {
    let check = |size, align, expected| assert_eq!(Blocks::size(layout(size, align)), expected);
    check(1, 128, Some(0));
    check(128, 128, Some(0));
    check(129, 128, Some(1));
    check(256, 128, Some(1));
    check(1024, 128, Some(7));
    check(1025, 128, None);
    check(0, 128, None);
    check(256, 64, None);
    check(256, 256, None);
    check(256, 8, None);
}

#[test]
fn blocks_take_no_more_than_their_size_and_are_used_again() {
    let blocks = Blocks::new();
    let wanted = layout(256, UNIT);
    let mut all: Vec<*mut u8> = Vec::new();
    for _ in 0..3 {
        // SAFETY: the size is not zero; each is given back once, with its layout.
        all.extend((0..1000).map(|_| unsafe { blocks.alloc(wanted) }));
        let apart: HashSet<usize> = all.iter().map(|block| block.addr()).collect();
        assert_eq!(apart.len(), 1000);
        assert!(apart.iter().all(|block| block % UNIT == 0));
        for block in all.drain(..) {
            // SAFETY: as above.
            unsafe { blocks.dealloc(block, wanted) };
        }
    }
    assert_eq!(slabs(&blocks), (1000 * 256_usize).div_ceil(SLAB));
}

#[test]
fn what_one_thread_gives_back_serves_another() {
    let blocks = Blocks::new();
    let wanted = layout(384, UNIT);
    for _ in 0..100 {
        // SAFETY: as above.
        let given: Vec<usize> = (0..50)
            .map(|_| unsafe { blocks.alloc(wanted) }.expose_provenance())
            .collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for block in given {
                    let block = ptr::with_exposed_provenance_mut(block);
                    // SAFETY: as above.
                    unsafe { blocks.dealloc(block, wanted) };
                }
            });
        });
    }
    assert_eq!(slabs(&blocks), 1);
}

#[derive(Clone, Debug)]
enum Act {
    Take {
        size: usize,
        align: usize,
        zeroed: bool,
    },
    Give(usize),
    Resize {
        which: usize,
        size: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let size = 1..1400_usize;
    let align = prop::sample::select(vec![1, 8, 64, 128, 128, 128, 256]);
    prop_oneof![
        3 => (size.clone(), align, any::<bool>())
            .prop_map(|(size, align, zeroed)| Act::Take { size, align, zeroed }),
        2 => any::<usize>().prop_map(Act::Give),
        2 => (any::<usize>(), size).prop_map(|(which, size)| Act::Resize { which, size }),
    ]
}

/// A block that is ours, filled with its mark.
struct Mine {
    block: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Mine {
    fn fill(&self) {
        // SAFETY: the block is ours and has so many bytes.
        unsafe { self.block.write_bytes(self.mark, self.layout.size()) };
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: as above, and all were written.
        unsafe { std::slice::from_raw_parts(self.block, self.layout.size()) }
    }

    fn is_whole(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == self.mark)
    }
}

proptest! {
    #[test]
    fn nobody_writes_into_a_block_but_its_owner(acts in prop::collection::vec(act(), 1..200)) {
        let blocks = Blocks::new();
        let mut all: Vec<Mine> = Vec::new();
        for (mark, act) in (1..=250_u8).cycle().zip(acts) {
            match act {
                Act::Take { size, align, zeroed } => {
                    let layout = layout(size, align);
                    // SAFETY: the size is not zero.
                    let block = unsafe {
                        match zeroed {
                            true => blocks.alloc_zeroed(layout),
                            false => blocks.alloc(layout),
                        }
                    };
                    prop_assert!(!block.is_null() && block.addr() % align == 0);
                    let mine = Mine { block, layout, mark: 0 };
                    prop_assert!(!zeroed || mine.is_whole());
                    let mine = Mine { mark, ..mine };
                    mine.fill();
                    all.push(mine);
                }
                Act::Give(which) if !all.is_empty() => {
                    let mine = all.swap_remove(which % all.len());
                    prop_assert!(mine.is_whole());
                    // SAFETY: it is given back once, with its layout.
                    unsafe { blocks.dealloc(mine.block, mine.layout) };
                }
                Act::Resize { which, size } if !all.is_empty() => {
                    let which = which % all.len();
                    let mine = &mut all[which];
                    let kept = size.min(mine.layout.size());
                    // SAFETY: the size is not zero, and the old block is not used again.
                    mine.block = unsafe { blocks.realloc(mine.block, mine.layout, size) };
                    mine.layout = layout(size, mine.layout.align());
                    prop_assert!(!mine.block.is_null());
                    prop_assert_eq!(mine.block.addr() % mine.layout.align(), 0);
                    // SAFETY: so many bytes were written and copied.
                    let bytes = unsafe { std::slice::from_raw_parts(mine.block, kept) };
                    prop_assert!(bytes.iter().all(|byte| *byte == mine.mark));
                    mine.fill();
                }
                Act::Give(_) | Act::Resize { .. } => {}
            }
        }
        for mine in all {
            prop_assert!(mine.is_whole());
            // SAFETY: as above.
            unsafe { blocks.dealloc(mine.block, mine.layout) };
        }
    }
}
