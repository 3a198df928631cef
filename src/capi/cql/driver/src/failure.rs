//! Errors of the driver as a code that says what can be done about them, and a text.

use std::fmt::Display;

use scylla::errors::{
    AuthError, ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError,
    ExecutionError, MetadataError, MetadataFetchErrorKind, NewSessionError, NextPageError,
    NextRowError, PrepareError, RequestAttemptError, RequestError, SchemaAgreementError,
    UseKeyspaceError,
};

/// As in driver_internal.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    Invalid = 1,
    Unauthorized = 2,
    AlreadyExists = 3,
    /// Nothing was done: no connection, not enough nodes.
    Unavailable = 4,
    /// Nothing was done: the server or the connection has too much to do.
    Overloaded = 5,
    /// May have been done.
    TimedOut = 6,
    /// May have been done: the connection broke, or nodes failed.
    Broken = 7,
    BadConfiguration = 8,
}

pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Display) -> Failure {
        Failure {
            code,
            message: message.to_string(),
        }
    }
}

fn database(error: &DbError, text: &str) -> Failure {
    let code = match error {
        DbError::SyntaxError
        | DbError::Invalid
        | DbError::ConfigError
        | DbError::FunctionFailure { .. }
        | DbError::ProtocolError => Code::Invalid,
        DbError::AlreadyExists { .. } => Code::AlreadyExists,
        DbError::AuthenticationError | DbError::Unauthorized => Code::Unauthorized,
        DbError::Unavailable { .. } | DbError::IsBootstrapping => Code::Unavailable,
        DbError::Overloaded | DbError::RateLimitReached { .. } => Code::Overloaded,
        DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. } => Code::TimedOut,
        _ => Code::Broken,
    };
    // Time-outs and missing nodes have numbers that the server's text may lack.
    let message = match error {
        DbError::Unavailable { .. }
        | DbError::ReadTimeout { .. }
        | DbError::WriteTimeout { .. }
        | DbError::ReadFailure { .. }
        | DbError::WriteFailure { .. } => format!("{error}: {text}"),
        _ if text.is_empty() => error.to_string(),
        _ => text.to_string(),
    };
    Failure::new(code, message)
}

impl From<&RequestAttemptError> for Failure {
    fn from(error: &RequestAttemptError) -> Failure {
        match error {
            RequestAttemptError::SerializationError(_)
            | RequestAttemptError::CqlRequestSerialization(_) => Failure::new(Code::Invalid, error),
            RequestAttemptError::UnableToAllocStreamId => Failure::new(Code::Overloaded, error),
            RequestAttemptError::DbError(error, text) => database(error, text),
            _ => Failure::new(Code::Broken, error),
        }
    }
}

fn authentication(error: &AuthError) -> Failure {
    Failure::new(Code::Unauthorized, error)
}

fn connection(error: &ConnectionError) -> Failure {
    if let ConnectionError::ConnectionSetupRequestError(setup) = error {
        match &setup.error {
            ConnectionSetupRequestErrorKind::DbError(error, text) => {
                let failure = database(error, text);
                // Whatever else a server refuses at the door may be accepted later.
                if failure.code == Code::Unauthorized {
                    return failure;
                }
            }
            ConnectionSetupRequestErrorKind::StartAuthSessionError(error)
            | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(error)
            | ConnectionSetupRequestErrorKind::AuthFinishError(error) => {
                return authentication(error);
            }
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                return Failure::new(
                    Code::Unauthorized,
                    "the server asks for a user name and a password",
                );
            }
            _ => {}
        }
    }
    Failure::new(Code::Unavailable, error)
}

impl From<&ConnectionPoolError> for Failure {
    fn from(error: &ConnectionPoolError) -> Failure {
        match error {
            ConnectionPoolError::Broken {
                last_connection_error,
            } => connection(last_connection_error),
            _ => Failure::new(Code::Unavailable, error),
        }
    }
}

impl From<&PrepareError> for Failure {
    fn from(error: &PrepareError) -> Failure {
        match error {
            PrepareError::ConnectionPoolError(error) => error.into(),
            PrepareError::AllAttemptsFailed { first_attempt } => first_attempt.into(),
            _ => Failure::new(Code::Broken, error),
        }
    }
}

impl From<&RequestError> for Failure {
    fn from(error: &RequestError) -> Failure {
        match error {
            RequestError::EmptyPlan => Failure::new(Code::Unavailable, error),
            RequestError::ConnectionPoolError(error) => error.into(),
            RequestError::RequestTimeout(_) => Failure::new(Code::TimedOut, error),
            RequestError::LastAttemptError(error) => error.into(),
            _ => Failure::new(Code::Broken, error),
        }
    }
}

impl From<&SchemaAgreementError> for Failure {
    fn from(error: &SchemaAgreementError) -> Failure {
        // The change itself was accepted.
        match error {
            SchemaAgreementError::Timeout(_) => Failure::new(Code::TimedOut, error),
            _ => Failure::new(Code::Broken, error),
        }
    }
}

impl From<&MetadataError> for Failure {
    fn from(error: &MetadataError) -> Failure {
        match error {
            MetadataError::ConnectionPoolError(error) => error.into(),
            MetadataError::FetchError(fetch) => match &fetch.error {
                MetadataFetchErrorKind::PrepareError(error) => error.into(),
                MetadataFetchErrorKind::NextRowError(NextRowError::NextPageError(
                    NextPageError::RequestFailure(error),
                )) => error.into(),
                _ => Failure::new(Code::Unavailable, error),
            },
            _ => Failure::new(Code::Unavailable, error),
        }
    }
}

impl From<&ExecutionError> for Failure {
    fn from(error: &ExecutionError) -> Failure {
        match error {
            ExecutionError::BadQuery(error) => Failure::new(Code::Invalid, error),
            ExecutionError::EmptyPlan => Failure::new(Code::Unavailable, error),
            ExecutionError::PrepareError(error) => error.into(),
            ExecutionError::ConnectionPoolError(error) => error.into(),
            ExecutionError::LastAttemptError(error) => error.into(),
            ExecutionError::RequestTimeout(_) => Failure::new(Code::TimedOut, error),
            ExecutionError::UseKeyspaceError(UseKeyspaceError::RequestError(error)) => error.into(),
            ExecutionError::SchemaAgreementError(error) => error.into(),
            _ => Failure::new(Code::Broken, error),
        }
    }
}

impl From<&NewSessionError> for Failure {
    fn from(error: &NewSessionError) -> Failure {
        match error {
            NewSessionError::EmptyKnownNodesList | NewSessionError::IllegalConfig(_) => {
                Failure::new(Code::BadConfiguration, error)
            }
            NewSessionError::MetadataError(error) => error.into(),
            _ => Failure::new(Code::Unavailable, error),
        }
    }
}
