//! Connections to servers that keep them, close them, forget them, and say odd things by them.

#![expect(clippy::disallowed_methods, reason = "the servers are not ours")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use pointsman_policy::{Domain, OutboundId};
use pointsman_spec::address::Uplink;
use pointsman_spec::resolver::Place as At;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::dial::Dialer;
use crate::lookup::{LookingUp, NotFound, Picks, Question, RecordType, Streaming};
use crate::resolver::message::EdnsForm;
use crate::stream::Stream;
use crate::tasks::Tasks;

#[derive(Clone, Debug)]
struct Here(Dialer, Tasks);

impl Transport for Here {
    fn dialer(&self) -> &Dialer {
        &self.0
    }

    fn datagrams(&self, _: OutboundId) -> Option<Uplink> {
        None
    }

    fn stream<'a>(
        &'a self,
        _: Option<OutboundId>,
        to: &'a [SocketAddr],
        limit: Duration,
    ) -> Streaming<'a> {
        Box::pin(async move {
            let stream = self.0.tcp_any(to, &Uplink::default(), limit).await;
            stream.map(Stream::from).map_err(|error| error.to_string())
        })
    }

    fn bootstrap<'a>(&'a self, _: &'a Domain) -> LookingUp<'a> {
        Box::pin(async { Err(NotFound::Failed("no names here".into())) })
    }

    fn picks(&self, _: OutboundId) -> Picks {
        Picks::new()
    }

    fn depth(&self) -> u8 {
        1
    }

    fn questions(&self) -> &Tasks {
        &self.1
    }

    fn connections(&self) -> &Tasks {
        &self.1
    }

    fn share(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }
}

/// How a server treats a connection.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// It answers the last question first, after a while without more.
    Backwards,
    /// It closes after so many answers.
    Closes(usize),
    /// It answers once, then reads and says nothing, as one does whom a middlebox forgot; the connection after that is
    /// another's.
    Forgets,
    /// It sends these bytes for each question.
    Says(&'static [u8]),
}

struct World {
    line: Arc<Line>,
    server: NameServer,
    transport: Here,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl World {
    async fn new(habit: Habit, reuse: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = NameServer::Tcp(At::at(listener.local_addr().unwrap()));
        let connections = Arc::<AtomicUsize>::default();
        let open = Arc::<AtomicUsize>::default();
        let (counted, now_open) = (Arc::clone(&connections), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let now_open = Arc::clone(&now_open);
                now_open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ended = serve(stream, habit, number).await;
                    now_open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let reached = Reached::defined(&server, &[]);
        Self {
            line: Arc::new(Line::new(reached, reuse)),
            server,
            transport: Here(Dialer::new(None), Tasks::new()),
            connections,
            open,
        }
    }

    fn ask(&self, name: &str) -> impl Future<Output = Said> + Send + use<> {
        self.ask_as(name, false)
    }

    fn ask_as(&self, name: &str, is_within: bool) -> impl Future<Output = Said> + Send + use<> {
        let name = Domain::parse(name).unwrap();
        let kind = RecordType::A;
        let question = WireQuestion::new(&Question { name, kind }).unwrap();
        let (line, server) = (Arc::clone(&self.line), self.server.clone());
        let transport = self.transport.clone();
        async move {
            let errand = Errand {
                server: &server,
                question: &question,
                query: &crate::resolver::message::query(7, &question, EdnsForm::None),
                transport: &transport,
                until: Instant::now() + Duration::from_secs(4),
                is_within,
            };
            line.ask(&errand).await
        }
    }

    /// Asks so many at once; how many were answered.
    async fn ask_many(&self, count: usize) -> usize {
        let mut all = JoinSet::new();
        for n in 0..count {
            all.spawn(self.ask(&format!("n{n}.test")));
        }
        let told = all.join_all().await;
        told.iter().filter(|said| said.settles()).count()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn none_is_open(&self) {
        while self.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, habit: Habit, number: usize) -> std::io::Result<()> {
    let mut waiting = Vec::new();
    for answered in 1_usize.. {
        let query = match habit {
            Habit::Backwards => loop {
                let pause = Duration::from_millis(50);
                match timeout(pause, read(&mut stream)).await {
                    Ok(query) => waiting.push(query?),
                    Err(_pause) => match waiting.pop() {
                        Some(last) => break last,
                        None => waiting.push(read(&mut stream).await?),
                    },
                }
            },
            _ => read(&mut stream).await?,
        };
        if matches!(habit, Habit::Closes(0)) {
            return Ok(());
        }
        let mut answer = query;
        // There is no such name.
        answer[2] |= 0x80;
        answer[3] = 0x83;
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        match habit {
            Habit::Says(bytes) => stream.write_all(bytes).await?,
            Habit::Forgets if number == 0 && answered > 1 => {}
            _ => stream.write_all(&[&length[..], &answer].concat()).await?,
        }
        if matches!(habit, Habit::Closes(most) if answered >= most) {
            return Ok(());
        }
    }
    Ok(())
}

/// Not to be left in the middle but where nothing was read.
async fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    stream.readable().await?;
    let length = stream.read_u16().await?;
    let mut query = vec![0; length.into()];
    stream.read_exact(&mut query).await?;
    Ok(query)
}

const REUSE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn many_who_ask_at_once_share_a_connection_and_answers_come_in_any_order() {
    let world = World::new(Habit::Backwards, REUSE).await;
    assert_eq!(world.ask_many(100).await, 100);
    assert_eq!(world.connections(), 1);
    assert!(world.ask("later.test").await.settles());
    assert_eq!(world.connections(), 1);
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_answers_all() {
    for most in [1, 2] {
        let world = World::new(Habit::Closes(most), REUSE).await;
        assert_eq!(world.ask_many(40).await, 40, "{most}");
        assert!(world.ask("later.test").await.settles());
        assert!(world.connections() <= 42, "{}", world.connections());
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_or_forgotten_costs_a_new_one_and_no_answer() {
    let world = World::new(Habit::Closes(1), REUSE).await;
    for n in 0..3 {
        assert!(world.ask(&format!("n{n}.test")).await.settles());
        world.none_is_open().await;
    }
    assert_eq!(world.connections(), 3);
    let world = World::new(Habit::Forgets, REUSE).await;
    assert!(world.ask("a.test").await.settles());
    tokio::time::sleep(RESTED + Duration::from_millis(50)).await;
    let begun = Instant::now();
    assert!(world.ask("b.test").await.settles());
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(world.connections(), 2);
    assert!(world.ask("c.test").await.settles());
    assert_eq!(world.connections(), 2);
}

#[tokio::test]
async fn connections_end_when_they_rest_and_when_nobody_is_left_who_asks() {
    let world = World::new(Habit::Closes(9), Duration::from_millis(100)).await;
    assert!(world.ask("a.test").await.settles());
    world.none_is_open().await;
    let mut world = World::new(Habit::Closes(9), REUSE).await;
    assert!(world.ask("a.test").await.settles());
    assert_eq!(world.open.load(Ordering::SeqCst), 1);
    let reached = Reached::defined(&world.server, &[]);
    world.line = Arc::new(Line::new(reached, REUSE));
    world.none_is_open().await;
    assert!(world.ask("b.test").await.settles());
    world.transport.1.stop(Duration::from_secs(1)).await;
    world.none_is_open().await;
    // Where nobody owns connections any more nobody waits for one.
    let said = world.ask("c.test").await;
    assert!(matches!(said, Said::Unreached(_)), "{said:?}");
}

#[tokio::test]
async fn what_is_no_answer_is_passed_over_or_told() {
    // Parts of frames, and an answer to nobody.
    for bytes in [
        &b"\x00"[..],
        b"\x00\x03abc",
        b"\xff\xffhalf",
        b"\x00\x0cxxxxxxxxxxxx",
    ] {
        let world = World::new(Habit::Says(bytes), REUSE).await;
        let asked = timeout(Duration::from_millis(300), world.ask("a.test")).await;
        assert!(asked.is_err(), "{bytes:?}: {asked:?}");
    }
    let check = async |habit, expected| {
        let world = World::new(habit, REUSE).await;
        let Said::Failed(refusal) = world.ask("a.test").await else {
            panic!("an answer");
        };
        assert_eq!(refusal.why, expected);
        assert_eq!(world.connections(), 1);
    };
    const FLOOD: &[u8] = &[0; 4096];
    check(Habit::Says(FLOOD), "it sends answers that nobody asked for").await;
    check(Habit::Closes(0), "closed without an answer").await;
}

/// Who makes a connection may wait for a question that wants one.
#[tokio::test]
async fn a_question_that_another_one_stands_on_waits_for_no_dial() {
    let world = World::new(Habit::Closes(9), REUSE).await;
    world.line.state().dialing = 1;
    assert!(world.ask_as("a.test", true).await.settles());
    let waiting = timeout(Duration::from_millis(50), world.ask("b.test")).await;
    assert!(waiting.is_err());
}

#[tokio::test]
async fn that_nobody_listens_is_told_to_all_and_tried_once_a_second() {
    let mut world = World::new(Habit::Backwards, REUSE).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.server = NameServer::Tcp(At::at(free.local_addr().unwrap()));
    drop(free);
    let (one, other) = tokio::join!(world.ask("a.test"), world.ask("b.test"));
    assert_eq!(one, other);
    assert!(
        matches!(&one, Said::Unreached(why) if why.contains("refused")),
        "{one:?}"
    );
}
