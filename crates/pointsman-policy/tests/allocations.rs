//! A decision without a watcher allocates nothing, not even where a rule set decides.

#![expect(unsafe_code, reason = "an allocator that counts has to be one")]

mod flow;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use flow::{
    DIRECT, PROXY, WORK, flow as facts, ip, leaf, name, not, policy, port, rule, suffix, with_sets,
};
use pointsman_policy::condition::{AnswerTest, Asks, Condition, DomainTest, TextField, TextTest};
use pointsman_policy::decision::Trace;
use pointsman_policy::model::{Node, Policy, SetId, Template};
use pointsman_policy::request::Request;
use pointsman_policy::set::{Key, RuleSetBuilder};
use pointsman_policy::{Answered, Domain, NamePattern, OutboundId};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local
// that needs no destructor and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u32 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

fn every_kind() -> Policy {
    let mut set = RuleSetBuilder::new("list", "list.txt", Key::default());
    set.add_suffix(name("ads.test"), 1, "+.ads.test");
    set.add_suffix(name("bare.test"), 2, "bare.test");
    set.add_prefix(
        pointsman_policy::Prefix::new(std::net::Ipv4Addr::new(10, 0, 0, 0).into(), 8),
        3,
        "10.0.0.0/8",
    );
    set.add_other(port(4242), 4, "DST-PORT,4242");
    for line in 5..45 {
        let word = format!("word{line}");
        match NamePattern::new(&format!("^{word}[a-z]+|^.{{20}}{line}$")) {
            Ok(pattern) => set.add_other(
                Condition::Domain(DomainTest::Regex(pattern)),
                line,
                "expression",
            ),
            Err(error) => panic!("{error}"),
        }
        set.add_other(
            Condition::Domain(DomainTest::Keyword(word.into())),
            line,
            "word",
        );
    }
    let text = |field, text: &str| Condition::Text(field, TextTest::KeywordIgnoreCase(text.into()));
    let message = match Template::parse("{process.name} goes to {addr.dst}") {
        Ok(message) => message,
        Err(error) => panic!("{error}"),
    };
    let body = vec![
        rule(1, suffix("rule.test"), PROXY),
        Node::Instrument {
            condition: suffix("test"),
            id: 1,
            message,
            origin: flow::origin(2),
        },
        Node::Request {
            condition: Condition::And(vec![suffix("test"), not(port(1))]),
            request: Request::new(1, PROXY, WORK),
            origin: flow::origin(9),
        },
        rule(3, Condition::Set(SetId(0), Asks::Resolve), WORK),
        rule(
            4,
            Condition::And(vec![not(port(1)), text(TextField::UserAgent, "agent")]),
            PROXY,
        ),
        rule(5, text(TextField::ParentName, "bash"), PROXY),
        rule(6, Condition::Country("DE".into(), Asks::Resolve), PROXY),
        rule(7, ip("192.168.0.0/16", Asks::Never), PROXY),
        leaf(8, DIRECT),
    ];
    with_sets(policy(body), vec![set.finish()])
}

#[test]
fn a_decision_without_a_watcher_allocates_nothing() {
    allocates_nothing(&every_kind());
}

/// The sets of regular expressions and the automaton of keywords included.
#[test]
fn nor_does_a_compiled_one() {
    let mut policy = every_kind();
    let mut body = policy.body.to_vec();
    let last = body.pop();
    for line in 0..40 {
        let pattern = NamePattern::new(&format!("^a{line}[a-z]+")).map(DomainTest::Regex);
        let Ok(pattern) = pattern else {
            panic!("a pattern is broken");
        };
        let word = TextTest::KeywordIgnoreCase(format!("word{line}").into());
        body.push(rule(line + 10, Condition::Domain(pattern), PROXY));
        body.push(rule(
            line + 60,
            Condition::Text(TextField::ProcessName, word),
            PROXY,
        ));
    }
    body.extend(last);
    policy.body = body.into();
    policy.body.compile_lists(Key::default(), 1);
    assert!(policy.body.plan_bytes() > 0);
    // Automata make their caches when they are used first.
    let _warm = policy.decide(&facts(
        "dst=x.org:2 look=none owner=curl resolved=1.1.1.1 geo=FR",
    ));
    allocates_nothing(&policy);
}

fn allocates_nothing(policy: &Policy) {
    let check = |words: &str, expected: u32| {
        let flow = facts(words);
        let got = allocations(|| drop(policy.decide(&flow)));
        assert_eq!(got, expected, "{words}");
    };
    check("dst=rule.test:1", 0);
    check("dst=other.org:1", 0);
    check("dst=1.1.1.1:1 look=http:x.rule.test:curl:GET", 0);
    check("dst=x.bare.test:1 owner=curl", 0);
    check("dst=word9x.org:1 owner=curl", 0);
    check("dst=my-word44.org:1 resolved=1.1.1.1 owner=curl", 0);
    check("dst=other.org:4242 resolved=1.1.1.1", 0);
    let rest = "look=http:y.org:curl:GET owner=curl<sh<init";
    check(&format!("dst=x.org:2 {rest} resolved=1.1.1.1 geo=DE"), 0);
    check(
        &format!("dst=x.org:2 {rest} resolved=192.168.0.1 geo=FR"),
        0,
    );
    check(&format!("dst=x.org:2 {rest} resolved=1.1.1.1 geo=FR"), 0);
    check(&format!("dst=x.org:2 {rest} resolved=!servfail"), 0);
    check("dst=x.ads.test:1 owner=curl", 0);
    check("dst=10.1.2.3:1 owner=curl", 0);
    check("dst=x.test:7 owner=curl", 0);
    check("dst=x.test:7 owner=curl verdict=REJECT", 0);
    check("dst=x.test:7 owner=curl verdict=!nobody", 0);
    check(&format!("dst={}ads.test:1 owner=curl", "x.".repeat(100)), 0);
}

/// What was answered to a query is looked at each time that it is given.
#[test]
fn nor_does_one_on_an_answer() {
    let mut set = RuleSetBuilder::new("list", "list.txt", Key::default());
    set.add_suffix(name("ads.test"), 1, "ads.test");
    let test = |test| Condition::Answer(test);
    let body = vec![
        rule(
            1,
            Condition::And(vec![test(AnswerTest::AliasIn(SetId(0))), suffix("a.test")]),
            PROXY,
        ),
        rule(2, test(AnswerTest::Upstream("far".into())), WORK),
        rule(3, test(AnswerTest::Code(3)), WORK),
    ];
    let policy = with_sets(policy(body), vec![set.finish()]);
    let addresses = [[192, 0, 2, 1].into()];
    let check = |aliases: &[Domain], expected: Option<OutboundId>| {
        let answered = Answered {
            addresses: &addresses,
            aliases,
            code: 0,
            upstream: "near",
            tried: &[WORK],
        };
        let mut flow = facts("dst=a.test:1 type=1");
        let mut decided = None;
        let got = allocations(|| decided = policy.decide_answer(&mut flow, &answered));
        assert_eq!(got, 0, "{aliases:?}");
        assert_eq!(decided.and_then(|it| it.outbound), expected, "{aliases:?}");
    };
    check(&[], None);
    check(&[name("b.test"), name("c.test")], None);
    check(&[name("b.test"), name("x.ads.test")], Some(PROXY));
}

/// The counter counts: without this the test above could not fail.
#[test]
fn a_trace_allocates() {
    let policy = every_kind();
    let flow = facts("dst=rule.test:1");
    let mut trace = Trace::default();
    assert!(allocations(|| drop(policy.decide_traced(&flow, &mut trace))) > 0);
}
