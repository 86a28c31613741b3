//! What is no, what nobody can tell, and what the kernel tells alone.

use super::*;

fn guard(outbound: &str) -> Guard {
    Guard {
        outbound: outbound.into(),
        by: ServedBy::User("core".into()),
        instead: Vec::new(),
    }
}

#[test]
fn what_nobody_can_tell_is_no_no() {
    let guards = ["a", "b", "c"].map(guard);
    let why = || Some(Arc::from("denied"));
    let check = |answers: [GuardAnswer; 3], outbound: Fact<Arc<str>>, untold: &[&str]| {
        let told = format!("{answers:?}");
        let found = Serves::of(&guards, answers.into());
        assert_eq!(found.outbound, outbound, "{told}");
        let names: Vec<&str> = found.untold.iter().map(|name| &**name).collect();
        assert_eq!(names, untold, "{told}");
    };
    let (no, yes) = (|| GuardAnswer::No, || GuardAnswer::Yes);
    check([no(), no(), no()], Fact::Absent, &[]);
    let b = Fact::Known("b".into(), Provenance::System);
    check([no(), yes(), no()], b.clone(), &[]);
    check([GuardAnswer::Untold(why()), yes(), no()], b, &["a"]);
    let failed = Fact::Failed("denied".into());
    check(
        [no(), GuardAnswer::Untold(why()), GuardAnswer::Untold(None)],
        failed,
        &["b", "c"],
    );
    check(
        [no(), GuardAnswer::Untold(None), no()],
        Fact::Absent,
        &["b"],
    );
}

#[test]
fn a_user_is_known_by_the_socket_alone() {
    let memory = Memory::default();
    let now = Instant::now();
    let look = |uid| Look {
        memory: &memory,
        socket: SocketOwner {
            inode: 1,
            uid,
            cgroup_id: None,
        },
        now,
        process: OnceCell::new(),
    };
    let by = |name: &str| Guard {
        by: ServedBy::User(name.into()),
        ..guard("a")
    };
    let check = |uid, name: &str, yes: bool| {
        let look = look(uid);
        let answer = look.answer(&by(name));
        assert_eq!(
            matches!(answer, GuardAnswer::Yes),
            yes,
            "{uid} {name}: {answer:?}"
        );
        assert!(look.process.get().is_none(), "nobody looked at processes");
        let at_once = memory.known.at_once(&by(name), &look.socket, now);
        assert_eq!(at_once.is_some(), name != "no such user", "{name}");
    };
    check(0, "root", true);
    check(7, "root", false);
    // Without a name in /etc/passwd.
    check(54_321, "54321", true);
    check(0, "54321", false);
    check(0, "no such user", false);
}
