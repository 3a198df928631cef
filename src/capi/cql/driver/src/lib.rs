//! The C interface of the Cassandra driver. Types and functions mirror driver_internal.h of the
//! room cql, where they are documented; values and cells cross as CQL bytes.
//!
//! Whatever `done` callbacks get points to memory of this library that lives until they return,
//! except a page and a statement, which then belong to the caller.

mod connect;
mod contact_points;
mod failure;
mod request;
mod rows;
mod tls;
mod values;

use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use tokio::runtime::{Handle, Runtime};

use failure::{Code, Failure};
use rows::Page;

/// A view of bytes; may be empty with a null pointer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    data: *const u8,
    size: usize,
}

impl Text {
    fn of(bytes: &[u8]) -> Text {
        Text {
            data: bytes.as_ptr(),
            size: bytes.len(),
        }
    }

    const EMPTY: Text = Text {
        data: ptr::null(),
        size: 0,
    };

    /// # Safety
    /// The bytes must live and stay unchanged as long as the result is used.
    unsafe fn bytes<'a>(&self) -> &'a [u8] {
        if self.size == 0 {
            &[]
        } else {
            slice::from_raw_parts(self.data, self.size)
        }
    }

    /// # Safety
    /// As `bytes`, while this call runs.
    unsafe fn to_text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

#[repr(C)]
pub struct Config {
    hosts: *const Text,
    num_hosts: usize,
    username: Text,
    password: Text,
    certificate_path: Text,
    key_path: Text,
    ca_path: Text,
    timeout_ms: i64,
    connect_timeout_ms: i64,
    connections_per_host: i64,
    threads: i64,
    consistency: i32,
    authenticate: bool,
    only_contact_points: bool,
    use_tls: bool,
    verify_host: bool,
}

#[repr(C)]
pub struct Reply {
    code: i32,
    message: Text,
    columns: *const Text,
    num_columns: usize,
    num_rows: i64,
    cells: Text,
    paging_state: Text,
    page: *mut Page,
    statement: *mut Statement,
}

impl Reply {
    fn empty() -> Reply {
        Reply {
            code: 0,
            message: Text::EMPTY,
            columns: ptr::null(),
            num_columns: 0,
            num_rows: 0,
            cells: Text::EMPTY,
            paging_state: Text::EMPTY,
            page: ptr::null_mut(),
            statement: ptr::null_mut(),
        }
    }
}

pub type DoneFunction = extern "C" fn(*mut c_void, *const Reply);

/// The caller's function and its context; called once: at the latest when it is dropped, as with
/// the tasks of a driver that gives up.
pub(crate) struct Done {
    function: DoneFunction,
    context: *mut c_void,
}

// The caller promises that `function` may be called from any thread.
unsafe impl Send for Done {}

impl Done {
    fn call(self, reply: &Reply) {
        (self.function)(self.context, reply);
        std::mem::forget(self);
    }

    fn fail(self, failure: &Failure) {
        self.tell(failure);
        std::mem::forget(self);
    }

    fn tell(&self, failure: &Failure) {
        let mut reply = Reply::empty();
        reply.code = failure.code as i32;
        reply.message = Text::of(failure.message.as_bytes());
        (self.function)(self.context, &reply);
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.tell(&Failure::new(Code::TimedOut, "given up without an answer"));
    }
}

#[repr(C)]
pub struct Request {
    statements: *const *const Statement,
    values: *const Text,
    num_statements: usize,
    consistency: i32,
    serial_consistency: i32,
    page_rows: i32,
    paging_state: Text,
    delay_ms: i64,
}

pub struct Driver {
    /// None: it has given up.
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    session: Arc<Session>,
    timeout: Duration,
}

impl Driver {
    fn take_runtime(&self) -> Option<Runtime> {
        self.runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

pub struct Statement {
    prepared: PreparedStatement,
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_connect(
    config: *const Config,
    context: *mut c_void,
    done: DoneFunction,
) -> *mut Driver {
    let done = Done {
        function: done,
        context,
    };
    match connect::connect(&*config) {
        Ok(driver) => {
            done.call(&Reply::empty());
            Box::into_raw(Box::new(driver))
        }
        Err(failure) => {
            done.fail(&failure);
            ptr::null_mut()
        }
    }
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_close(driver: *mut Driver) {
    let driver = *Box::from_raw(driver);
    let runtime = driver.take_runtime();
    drop(driver);
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_give_up(driver: *const Driver) {
    // Drops all tasks, those that are spawned later too, and with each the `Done` in it.
    if let Some(runtime) = (*driver).take_runtime() {
        runtime.shutdown_background();
    }
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_prepare(
    driver: *const Driver,
    cql: Text,
    idempotent: bool,
    delay_ms: i64,
    context: *mut c_void,
    done: DoneFunction,
) {
    let driver = &*driver;
    let done = Done {
        function: done,
        context,
    };
    let work = request::prepare(
        driver.session.clone(),
        cql.to_text(),
        idempotent,
        driver.timeout,
        delay_ms,
    );
    driver.handle.spawn(async move {
        match work.await {
            Ok(prepared) => {
                let mut reply = Reply::empty();
                reply.statement = Box::into_raw(Box::new(Statement { prepared }));
                done.call(&reply);
            }
            Err(failure) => done.fail(&failure),
        }
    });
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_statement_free(statement: *mut Statement) {
    drop(Box::from_raw(statement));
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_page_free(page: *mut Page) {
    drop(Box::from_raw(page));
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_execute(
    driver: *const Driver,
    request: *const Request,
    context: *mut c_void,
    done: DoneFunction,
) {
    let driver = &*driver;
    let done = Done {
        function: done,
        context,
    };
    let work = request::Execution::new(&*request);
    let session = driver.session.clone();
    driver.handle.spawn(async move {
        match work.run(&session).await {
            Ok(answer) => rows::deliver(answer, done),
            Err(failure) => done.fail(&failure),
        }
    });
}

/// # Safety
/// As driver_internal.h says.
#[no_mangle]
pub unsafe extern "C" fn capi_cql_schema(
    driver: *const Driver,
    cql: Text,
    timeout_ms: i64,
    delay_ms: i64,
    context: *mut c_void,
    done: DoneFunction,
) {
    let driver = &*driver;
    let done = Done {
        function: done,
        context,
    };
    let work = request::change_schema(
        driver.session.clone(),
        cql.to_text(),
        Duration::from_millis(timeout_ms.max(1) as u64),
        delay_ms,
    );
    driver.handle.spawn(async move {
        match work.await {
            Ok(()) => done.call(&Reply::empty()),
            Err(failure) => done.fail(&failure),
        }
    });
}
