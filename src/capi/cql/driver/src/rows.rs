//! Results as the caller gets them.

use scylla::deserialize::row::ColumnIterator;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::PagingStateResponse;

use crate::failure::{Code, Failure};
use crate::{Done, Reply, Text};

pub struct Answer {
    pub result: QueryResult,
    pub paging: Option<PagingStateResponse>,
}

/// Keeps the bytes of a page alive for the caller.
pub struct Page {
    rows: QueryRowsResult,
    /// The cells, if they cannot be taken from `rows` as they are.
    nulls: Vec<u8>,
}

impl Page {
    /// The rows as they lie in the frame of the answer: for every cell its length and its bytes,
    /// row by row, without gaps. The driver gives single cells only, so the place of the first one
    /// that is not null tells where the rows begin: the cells before it are lengths alone.
    fn cells(&mut self) -> Result<Text, Failure> {
        let columns = self.rows.column_specs().len();
        let size = self.rows.rows_bytes_size();
        let rows = self.rows.rows::<ColumnIterator>().map_err(broken)?;
        let mut nulls = 0;
        for row in rows {
            for column in row.map_err(broken)? {
                let Some(slice) = column.map_err(broken)?.slice else {
                    nulls += 1;
                    continue;
                };
                // An empty value has no place of its own.
                if slice.as_slice().is_empty() {
                    return self.copy();
                }
                let begin = slice.as_slice().as_ptr().wrapping_sub(4 * (nulls + 1));
                return Ok(Text { data: begin, size });
            }
        }
        debug_assert!(nulls % columns.max(1) == 0);
        self.nulls = vec![0xff; 4 * nulls];
        Ok(Text::of(&self.nulls))
    }

    fn copy(&mut self) -> Result<Text, Failure> {
        let mut bytes = Vec::with_capacity(self.rows.rows_bytes_size());
        for row in self.rows.rows::<ColumnIterator>().map_err(broken)? {
            for column in row.map_err(broken)? {
                match column.map_err(broken)?.slice {
                    None => bytes.extend_from_slice(&(-1i32).to_be_bytes()),
                    Some(slice) => {
                        bytes.extend_from_slice(&(slice.as_slice().len() as i32).to_be_bytes());
                        bytes.extend_from_slice(slice.as_slice());
                    }
                }
            }
        }
        self.nulls = bytes;
        Ok(Text::of(&self.nulls))
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Broken, format!("the answer cannot be read: {error}"))
}

pub fn deliver(answer: Answer, done: Done) {
    if !answer.result.is_rows() {
        done.call(&Reply::empty());
        return;
    }
    match answer.result.into_rows_result().map_err(broken) {
        Ok(rows) => deliver_rows(
            Page {
                rows,
                nulls: Vec::new(),
            },
            answer.paging,
            done,
        ),
        Err(failure) => done.fail(&failure),
    }
}

fn deliver_rows(page: Page, paging: Option<PagingStateResponse>, done: Done) {
    let mut page = Box::new(page);
    let mut reply = Reply::empty();
    match page.cells() {
        Ok(cells) => reply.cells = cells,
        Err(failure) => return done.fail(&failure),
    }
    reply.num_rows = page.rows.rows_num() as i64;
    let names: Vec<String> = page
        .rows
        .column_specs()
        .iter()
        .map(|column| column.name().to_string())
        .collect();
    let columns: Vec<Text> = names.iter().map(|name| Text::of(name.as_bytes())).collect();
    reply.columns = columns.as_ptr();
    reply.num_columns = columns.len();
    let state = match &paging {
        Some(PagingStateResponse::HasMorePages { state }) => state.as_bytes_slice().cloned(),
        _ => None,
    };
    if let Some(state) = &state {
        reply.paging_state = Text::of(state);
    }
    reply.page = Box::into_raw(page);
    done.call(&reply);
}
