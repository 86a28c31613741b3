//! What a set of names takes for each, when it is built and while it is; and that of keywords at worst.
//!
//! 300 000 names are enough: from 262 144 on, up to sixteen millions, an entry takes the same bytes.

#![expect(unsafe_code, reason = "an allocator that counts has to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pointsman_policy::condition::{Condition, DomainTest};
use pointsman_policy::domain::Name;
use pointsman_policy::set::{Item, Key, Place, RuleSet, RuleSetBuilder, Sink as _};

struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches thread-locals that need no
// destructor and do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get() + layout.size();
        HELD.set(held);
        MOST.set(MOST.get().max(held));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: u32 = 300_000;

/// The set, and the bytes an entry that it takes and that building it took at most.
fn measured(small: bool) -> (RuleSet, f64, f64) {
    let before = HELD.get();
    MOST.set(before);
    let builder = RuleSetBuilder::new("set", "set.txt", Key([1, 2]));
    let mut set = if small { builder.small() } else { builder };
    let (mut written, mut buffer) = (String::new(), String::new());
    for line in 1..=COUNT {
        use std::fmt::Write as _;
        written.clear();
        let _infallible = write!(written, "+.name{line}.example.com");
        if let Ok(name) = Name::parse(&written[2..], &mut buffer) {
            let written = &*written;
            set.add(Item::Suffix(name), Place { line, written });
        }
    }
    let set = set.finish();
    let each = |bytes: usize| (bytes - before) as f64 / f64::from(COUNT);
    (set, each(HELD.get()), each(MOST.get()))
}

/// Words that end each other: nearly each state of an automaton of them ends hundreds of others.
#[test]
fn keywords_that_end_each_other_take_a_bounded_part() {
    let nested = (1..=250).map(|length| "a".repeat(length));
    let ending = (0..300).map(|at| format!("x{at}{}", "a".repeat(247)));
    let words: Vec<String> = nested.chain(ending).collect();
    let size: usize = words.iter().map(|word| word.len() + 1).sum();
    let before = HELD.get();
    MOST.set(before);
    let mut set = RuleSetBuilder::new("set", "set.txt", Key([1, 2]));
    // The longest first: none of them may be left out for a shorter one.
    for (line, word) in (1..).zip(words.iter().rev()) {
        let condition = Condition::Domain(DomainTest::Keyword(word.as_str().into()));
        set.add_other(condition, line, word);
    }
    let set = set.finish();
    let (most, held) = (MOST.get() - before, HELD.get() - before);
    assert!(most <= 500 * size, "{most} bytes for a list of {size}");
    assert!(held <= 100 * size, "{held} bytes for a list of {size}");
    assert!(
        set.jump_bytes() > 10_000,
        "{}: not indexed",
        set.jump_bytes()
    );
}

#[test]
fn names_take_what_is_promised() {
    let check = |small, most: f64| {
        let (set, bytes, peak) = measured(small);
        assert_eq!(set.len(), COUNT as usize);
        assert!(bytes <= most, "{bytes:.2} bytes an entry");
        assert!(peak <= 3.0 * bytes, "{peak:.2} at most, then {bytes:.2}");
        assert!(bytes >= 6.0, "{bytes:.2}: not counted");
    };
    check(false, 14.0);
    check(true, 7.0);
}
