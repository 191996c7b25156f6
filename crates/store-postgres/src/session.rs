//! One connection with its prepared statements. Every call has a time-out; a session that ran into one is not used again.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Connection, NoTls, Row, Socket, Statement, tls::TlsStream, types::ToSql};
use usher_store::BoxFuture;

use crate::{fault::Fault, sql, target::Target};

/// Longest wait for a connection: a few hosts tried in turn.
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
    pub marked: Statement,
    pub unmark: Statement,
}

impl Session {
    /// Connects and prepares all statements; the tables must be there.
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        within(OPEN_MAX, async {
            let client = connect(target).await?;
            let statements = Statements::prepare(&client).await?;
            Ok(Self { client, statements })
        })
        .await
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Rows.
    pub async fn query(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        within(CALL_MAX, async { Ok(self.client.query(statement, values).await?) }).await
    }

    /// A statement without rows.
    pub async fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, Fault> {
        within(CALL_MAX, async { Ok(self.client.execute(statement, values).await?) }).await
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
            sql::MARKED,
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
            marked: next()?,
            unmark: next()?,
        })
    }
}

/// Connects, with the settings that every connection has.
pub async fn connect(target: &Target) -> Result<Client, Fault> {
    let client = match &target.tls {
        Some(tls) => drive(target.config.connect(tls.clone()).await?),
        None => drive(target.config.connect(NoTls).await?),
    };
    client.batch_execute(sql::SETTINGS).await?;
    // Not every database has these settings; those that refuse them do without.
    let _ = client.batch_execute(sql::NO_SCANS).await;
    let _ = client.batch_execute(sql::DURABLE).await;
    Ok(client)
}

/// The connection's own task ends with the connection, which ends with the client.
fn drive<T>((client, connection): (Client, Connection<Socket, T>)) -> Client
where
    T: TlsStream + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // Whoever waits for an answer is told.
        drop(connection.await);
    });
    client
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
