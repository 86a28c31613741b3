//! Who files, looks and counts at once neither waits for ever nor miscounts.

use std::sync::atomic::AtomicBool;

use super::*;

/// Flows that each thread begins and ends.
const FLOWS: u64 = 600;
const WRITERS: u64 = 3;

/// Locks are ranked: whoever takes two in the wrong order panics here.
#[test]
fn all_that_reads_and_writes_does_so_at_once() {
    let flows = Arc::new(Flows::new(|| 7));
    let over = AtomicBool::new(false);
    let write = || {
        for number in 0..FLOWS {
            let (generation, facts) = (Number::default(), Facts::default());
            let ticket = Ticket::take(&flows, generation, "desk".into(), 0, facts);
            ticket.note(|record| record.outbound = Some("o".into()));
            ticket.relays();
            match number % 3 {
                0 => ticket.end(End::Closed),
                1 => ticket.end(End::Refused),
                // As a task that is aborted.
                _ => drop(ticket),
            }
        }
    };
    let read = || {
        let mut ended = 0;
        while !over.load(Ordering::Relaxed) {
            flows.look();
            let counters = flows.counters();
            assert!(counters.ended >= ended, "{counters:?}, {ended}");
            assert!(counters.ended <= counters.begun, "{counters:?}");
            ended = counters.ended;
            let live = flows.live();
            for id in live.iter().map(|flow| flow.id).take(3) {
                // Whatever moment it is: among the live ones or among those that ended.
                assert!(flows.record(id).is_some(), "{id}");
            }
            let keep = usize::try_from(FLOWS * WRITERS).unwrap();
            flows.keep_recent(keep);
            flows.recent();
        }
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        let written = writers.into_iter().all(|writer| writer.join().is_ok());
        over.store(true, Ordering::Relaxed);
        assert!(written && readers.into_iter().all(|reader| reader.join().is_ok()));
    });
    let counters = flows.counters();
    assert_eq!(counters.begun, FLOWS * WRITERS);
    assert_eq!(counters.ended, FLOWS * WRITERS);
    assert!(flows.live().is_empty());
}
