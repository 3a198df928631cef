//! Statements on their way to the server.

use std::num::NonZero;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::response::PagingState;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement as Unprepared;
use scylla::statement::{Consistency, SerialConsistency};

use crate::failure::{Code, Failure};
use crate::rows::Answer;
use crate::values::RawValues;
use crate::Request;

/// The number of the protocol; none or a wrong one: the session's.
pub fn consistency(number: i32) -> Option<Consistency> {
    Consistency::try_from(u16::try_from(number).ok()?).ok()
}

/// What a repeated request waits for.
async fn pause(delay_ms: i64) {
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms as u64)).await;
    }
}

pub async fn prepare(
    session: Arc<Session>,
    cql: String,
    idempotent: bool,
    timeout: Duration,
    delay_ms: i64,
) -> Result<PreparedStatement, Failure> {
    pause(delay_ms).await;
    // The driver itself waits without limit.
    let mut prepared = tokio::time::timeout(timeout, session.prepare(cql))
        .await
        .map_err(|_| Failure::new(Code::TimedOut, "the statement was not prepared in time"))?
        .map_err(|error| Failure::from(&error))?;
    prepared.set_is_idempotent(idempotent);
    Ok(prepared)
}

pub async fn change_schema(
    session: Arc<Session>,
    cql: String,
    timeout: Duration,
    delay_ms: i64,
) -> Result<(), Failure> {
    pause(delay_ms).await;
    let mut statement = Unprepared::new(cql);
    statement.set_request_timeout(Some(timeout));
    session
        .query_unpaged(statement, ())
        .await
        .map_err(|error| Failure::from(&error))?;
    Ok(())
}

pub struct Execution {
    statements: Vec<(PreparedStatement, RawValues)>,
    consistency: Option<Consistency>,
    serial: SerialConsistency,
    paging_state: PagingState,
    delay_ms: i64,
}

impl Execution {
    /// # Safety
    /// Statements and values must live until the answer is delivered.
    pub unsafe fn new(request: &Request) -> Execution {
        let statements = slice::from_raw_parts(request.statements, request.num_statements);
        let values = slice::from_raw_parts(request.values, request.num_statements);
        let statements = statements
            .iter()
            .zip(values)
            .map(|(statement, values)| {
                let mut prepared = (**statement).prepared.clone();
                if request.page_rows > 0 {
                    prepared.set_page_size(request.page_rows);
                }
                (prepared, RawValues(values.bytes()))
            })
            .collect();
        let state = request.paging_state.bytes();
        Execution {
            statements,
            consistency: consistency(request.consistency),
            serial: match consistency(request.serial_consistency) {
                Some(Consistency::LocalSerial) => SerialConsistency::LocalSerial,
                _ => SerialConsistency::Serial,
            },
            paging_state: match NonZero::new(state.len()) {
                Some(_) => PagingState::new_from_raw_bytes(state),
                None => PagingState::start(),
            },
            delay_ms: request.delay_ms,
        }
    }

    pub async fn run(mut self, session: &Session) -> Result<Answer, Failure> {
        pause(self.delay_ms).await;
        if self.statements.len() != 1 {
            return self.run_batch(session).await;
        }
        let Some((mut prepared, values)) = self.statements.pop() else {
            return Err(Failure::new(Code::Invalid, "a request without a statement"));
        };
        if let Some(consistency) = self.consistency {
            prepared.set_consistency(consistency);
        }
        prepared.set_serial_consistency(Some(self.serial));
        let (result, paging) = session
            .execute_single_page(&prepared, values, self.paging_state)
            .await
            .map_err(|error| Failure::from(&error))?;
        Ok(Answer {
            result,
            paging: Some(paging),
        })
    }

    async fn run_batch(self, session: &Session) -> Result<Answer, Failure> {
        // Of one partition, which is written at once anyway, or of writes that need not be applied
        // together: nothing to log.
        let mut batch = Batch::new(BatchType::Unlogged);
        let mut values = Vec::with_capacity(self.statements.len());
        for (prepared, row) in self.statements {
            batch.append_statement(prepared);
            values.push(row);
        }
        if let Some(consistency) = self.consistency {
            batch.set_consistency(consistency);
        }
        batch.set_serial_consistency(Some(self.serial));
        let result = session
            .batch(&batch, values)
            .await
            .map_err(|error| Failure::from(&error))?;
        Ok(Answer {
            result,
            paging: None,
        })
    }
}
