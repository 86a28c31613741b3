//! Which slots names are given, and when they are given again.

use pointsman_policy::set::Key;
use proptest::prelude::*;

use super::*;

fn ranges(v4: &str, v6: Option<&str>) -> Ranges {
    Ranges {
        v4: v4.parse().ok(),
        v6: v6.map(|text| text.parse().unwrap()),
    }
}

fn book(v4: &str) -> Book {
    Book::new(ranges(v4, Some("fd00::/64")), Key([1, 2]))
}

fn name(n: usize) -> Domain {
    Domain::parse(&format!("n{n}.test")).unwrap()
}

#[test]
fn a_name_has_the_same_slot_in_both_families_and_in_every_book_of_the_key() {
    let mut one = book("198.18.0.0/15");
    let mut other = book("198.18.0.0/15");
    let all: Vec<u32> = (0..50)
        .map(|n| one.give(&name(n), 60, 10).unwrap())
        .collect();
    for n in (0..50).rev() {
        assert_eq!(other.give(&name(n), 60, 10), Ok(all[n]));
    }
    let Some(Fake {
        v4: Some(v4),
        v6: Some(v6),
    }) = one.tell(&name(7), 11)
    else {
        panic!("both")
    };
    assert_eq!(v4.to_bits() - 0xc612_0000, all[7]);
    assert_eq!(v6.to_bits() as u32, all[7]);
    for address in [IpAddr::from(v4), v6.into()] {
        assert_eq!(one.name(address, None), Some(&name(7)));
    }
    assert_eq!(one.name([198, 18, 0, 0].into(), None), None);
    assert_eq!(one.name([198, 17, 0, 1].into(), None), None);
    // Another key, another slot.
    let mut another = Book::new(ranges("198.18.0.0/15", None), Key([1, 3]));
    let differ = (0..50).filter(|n| another.give(&name(*n), 60, 10) != Ok(all[*n]));
    assert!(differ.count() > 45);
}

/// 14 slots: all are given, then the one that was idle for longest, and none that is still meant.
#[test]
fn the_slot_that_was_idle_for_longest_is_given_again() {
    let mut book = book("198.18.0.0/28");
    for n in 0..14 {
        let now = 100 + u32::try_from(n).unwrap();
        assert!(book.give(&name(n), 60, now).is_ok(), "{n}");
    }
    assert_eq!(book.give(&name(14), 60, 150), Err(Full));
    let slot = |book: &Book, n| book.by_name.get(&name(n)).copied();
    let (first, second, third) = (slot(&book, 0), slot(&book, 1), slot(&book, 2));
    // The first was told again, and a flow has the name of the second.
    book.tell(&name(0), 155);
    let held = book.by_slot[&second.unwrap()].name.clone();
    assert_eq!(book.give(&name(14), 60, 162).ok(), third);
    assert_eq!(slot(&book, 2), None);
    assert_eq!(book.give(&name(15), 60, 162), Err(Full));
    // Found idle, and used since.
    assert!(book.give(&name(15), 60, 170).is_ok());
    let fourth = book.by_slot.iter().find(|(_, slot)| slot.name == name(9));
    let (fourth, _) = fourth.unwrap();
    let address = IpAddr::from([198, 18, 0, u8::try_from(*fourth).unwrap()]);
    book.name(address, Some(171));
    for n in 16..40 {
        let _ = book.give(&name(n), 60, 172);
    }
    assert_eq!(book.name(address, None), Some(&name(9)));
    assert_eq!(slot(&book, 0), first);
    drop(held);
    assert!(book.give(&name(40), 60, 172).is_ok());
    assert_eq!(slot(&book, 1), None);
    assert_eq!(book.len(), 14);
}

#[test]
fn what_was_written_last_counts() {
    let mut book = book("198.18.0.0/28");
    for (n, slot) in [(0, 3), (1, 3), (2, 4), (2, 5), (3, 0), (4, 15), (5, 4)] {
        book.restore(name(n), slot, 10);
    }
    let mut all: Vec<_> = book
        .all()
        .map(|(name, slot)| (slot, name.to_string()))
        .collect();
    all.sort();
    assert_eq!(
        all,
        [
            (3, "n1.test".into()),
            (4, "n5.test".into()),
            (5, "n2.test".into())
        ]
    );
}

#[test]
fn ranges_have_room_for_what_they_hold() {
    let check = |v4: Option<&str>, v6: Option<&str>, slots: u32| {
        let ranges = Ranges {
            v4: v4.map(|text| text.parse().unwrap()),
            v6: v6.map(|text| text.parse().unwrap()),
        };
        assert_eq!(ranges.slots(), slots);
    };
    check(Some("198.18.0.0/15"), None, 131_070);
    check(Some("198.18.0.0/30"), Some("fd00::/64"), 2);
    check(None, Some("fd00::/64"), WIDE);
    check(None, Some("fd00::/120"), 254);
    check(Some("198.18.0.0/32"), None, 0);
}

proptest! {
    /// A name has one slot and a slot one name, whatever is given, told and read.
    #[test]
    fn names_and_slots_are_one_to_one(steps in proptest::collection::vec((0..40_usize, 0..3_u8, 0..18_u32), 0..300)) {
        let mut book = book("198.18.0.0/28");
        let mut now = 100;
        for (n, what, slot) in steps {
            now += slot;
            match what {
                0 if book.tell(&name(n), now).is_none() => {
                    let _ = book.give(&name(n), 60, now);
                }
                0 => {}
                1 => drop(book.tell(&name(n), now)),
                _ => book.restore(name(n), slot, now),
            }
            prop_assert_eq!(book.by_name.len(), book.by_slot.len());
            prop_assert!(book.by_slot.len() <= 14);
            for (name, slot) in &book.by_name {
                prop_assert_eq!(&book.by_slot[slot].name, name);
                prop_assert!((1..=14).contains(slot));
            }
        }
    }
}
