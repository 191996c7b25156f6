//! One connection with its prepared statements. Every call has a time-out; a session that ran into one is not used again.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Row, Socket, Statement, error::Severity, tls::TlsStream, types::ToSql};
use usher_store::BoxFuture;

use crate::{barrier, fault::Fault, hosts, sql, target::Target};

/// Longest wait for a connection; all hosts are tried at once.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// Longest wait for one round trip: the server's own limit on a statement, 5 s, with room for the answer.
pub const CALL_MAX: Duration = Duration::from_secs(8);

/// What a statement is given.
pub type Value<'a> = &'a (dyn ToSql + Sync);

/// A connection.
pub struct Session {
    /// Statements may be sent while others are under way.
    pub client: Client,
    /// The statements.
    pub statements: Statements,
    /// Whether the server has warned of something.
    warned: Arc<AtomicBool>,
    /// Which of the hosts it is at, and which one was found to be the primary last.
    host: usize,
    primary: Arc<AtomicUsize>,
}

/// The statements, prepared; each is named as its constant in `sql`, which says what it does.
pub struct Statements {
    pub get: Statement,
    pub scan: Statement,
    pub scan_to_end: Statement,
    pub counter: Statement,
    pub lock: Statement,
    pub insert: Statement,
    pub update: Statement,
    pub delete: Statement,
    pub add: Statement,
    pub mark: Statement,
    pub fence: Statement,
    pub unmark: Statement,
}

impl Session {
    /// Connects to the primary, prepares all statements and passes the barrier; the tables must be there.
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        let session = within(OPEN_MAX, hosts::first((0..target.hosts.len()).map(|host| Self::open_at(target, host)).collect())).await?;
        // What was passed later counts: a primary that has been left behind confirms nothing any more.
        target.primary.store(session.host, Ordering::SeqCst);
        Ok(session)
    }

    fn open_at(target: &Target, host: usize) -> BoxFuture<'_, Result<Self, Fault>> {
        Box::pin(async move {
            let Connected { client, warned } = connect_to(target, host).await?;
            let statements = Statements::prepare(&client).await?;
            warned.store(false, Ordering::SeqCst);
            barrier::pass(&client).await?;
            let session = Self { client, statements, warned, host, primary: Arc::clone(&target.primary) };
            session.is_confirmed()?;
            Ok(session)
        })
    }

    /// Whether it is not to be used any more: the connection has ended, or another host has become the primary.
    pub fn is_over(&self) -> bool {
        self.client.is_closed() || self.primary.load(Ordering::SeqCst) != self.host
    }

    /// Whether what was committed since this was asked last is confirmed as it should be. Where an administrator cancels a commit's wait
    /// for its standbys, PostgreSQL says that it has committed, and warns that it may be on this server alone.
    pub fn is_confirmed(&self) -> Result<(), Fault> {
        if self.warned.swap(false, Ordering::SeqCst) {
            return Err(Fault::passing("the database warned that a commit may not be on its standbys"));
        }
        Ok(())
    }

    /// Rows.
    pub async fn query(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        within(CALL_MAX, async { Ok(self.client.query(statement, values).await?) }).await
    }

    /// A plain statement.
    pub async fn plain(&self, statement: &str) -> Result<(), Fault> {
        within(CALL_MAX, async { Ok(self.client.batch_execute(statement).await?) }).await
    }
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, Fault> {
        let texts = [
            sql::GET,
            sql::SCAN,
            sql::SCAN_TO_END,
            sql::COUNTER,
            sql::LOCK,
            sql::INSERT,
            sql::UPDATE,
            sql::DELETE,
            sql::ADD,
            sql::MARK,
            sql::FENCE,
            sql::UNMARK,
        ];
        let prepared =
            in_order(texts.map(|text| Box::pin(client.prepare(text)) as BoxFuture<'_, Result<Statement, tokio_postgres::Error>>).into())
                .await;
        let prepared = prepared.into_iter().collect::<Result<Vec<Statement>, _>>()?;
        let mut prepared = prepared.into_iter();
        let mut next = || prepared.next().ok_or_else(|| Fault::passing("a statement is missing"));
        Ok(Self {
            get: next()?,
            scan: next()?,
            scan_to_end: next()?,
            counter: next()?,
            lock: next()?,
            insert: next()?,
            update: next()?,
            delete: next()?,
            add: next()?,
            mark: next()?,
            fence: next()?,
            unmark: next()?,
        })
    }
}

/// A connection without statements.
struct Connected {
    client: Client,
    warned: Arc<AtomicBool>,
}

/// Connects to the host that takes writes, before there are tables.
pub async fn connect(target: &Target) -> Result<Client, Fault> {
    let mut attempts: Vec<BoxFuture<'_, Result<Connected, Fault>>> = Vec::new();
    for host in 0..target.hosts.len() {
        attempts.push(Box::pin(connect_to(target, host)));
    }
    Ok(hosts::first(attempts).await?.client)
}

/// Connects, with the settings that every connection has.
async fn connect_to(target: &Target, host: usize) -> Result<Connected, Fault> {
    let Some(config) = target.hosts.get(host) else { return Err(Fault::passing("there is no such host")) };
    let refused = |error: tokio_postgres::Error| {
        let fault = Fault::from(error);
        Fault { text: format!("{}: {fault}", hosts::name(config)), ..fault }
    };
    let connected = match &target.tls {
        Some(tls) => drive(config.connect(tls.clone()).await.map_err(refused)?),
        None => drive(config.connect(NoTls).await.map_err(refused)?),
    };
    let client = &connected.client;
    client.batch_execute(sql::SETTINGS).await.map_err(refused)?;
    // Not every database has these settings; those that refuse them do without.
    let _ = client.batch_execute(sql::NO_SCANS).await;
    let _ = client.batch_execute(sql::DURABLE).await;
    Ok(connected)
}

/// The connection's own task ends with the connection, which ends with the client.
fn drive<T>((client, mut connection): (Client, Connection<Socket, T>)) -> Connected
where
    T: TlsStream + Unpin + Send + 'static,
{
    let warned = Arc::new(AtomicBool::new(false));
    let warns = Arc::clone(&warned);
    tokio::spawn(async move {
        // A warning comes before the answer that it belongs to. At the end, whoever waits for an answer is told.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(&message, AsyncMessage::Notice(notice) if notice.parsed_severity() == Some(Severity::Warning)) {
                warns.store(true, Ordering::SeqCst);
            }
        }
    });
    Connected { client, warned }
}

/// Ends what takes too long.
pub async fn within<T>(longest: Duration, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(longest, work).await.unwrap_or_else(|_| Err(Fault::passing(format!("no answer within {} s", longest.as_secs()))))
}

/// Polls all at once, the first first: statements go out in this order, without waiting for each other's answers.
pub async fn in_order<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(outcome) = future.as_mut().poll(context) {
                *done = Some(outcome);
            }
        }
        if done.iter().any(Option::is_none) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}
