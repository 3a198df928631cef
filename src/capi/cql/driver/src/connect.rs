//! The session: contact points, authentication, time-outs.

use std::num::NonZero;
use std::slice;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::PoolSize;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::{Consistency, SerialConsistency};
use tokio::runtime::Builder;

use crate::contact_points::OnlyContactPoints;
use crate::failure::{Code, Failure};
use crate::{request, tls, Config, Driver};

/// A connection over which nothing comes for so long is asked for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(5);
const SCHEMA_AGREEMENT_INTERVAL: Duration = Duration::from_millis(20);

fn millis(value: i64) -> Duration {
    Duration::from_millis(value.max(1) as u64)
}

/// # Safety
/// The texts of the configuration must be valid.
pub unsafe fn connect(config: &Config) -> Result<Driver, Failure> {
    let hosts: Vec<String> = slice::from_raw_parts(config.hosts, config.num_hosts)
        .iter()
        .map(|host| host.to_text())
        .collect();
    let timeout = millis(config.timeout_ms);
    let connect_timeout = millis(config.connect_timeout_ms);
    let runtime = Builder::new_multi_thread()
        .worker_threads(config.threads.max(1) as usize)
        .thread_name("capi-cql")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Unavailable, error))?;

    // Repetitions are the caller's: it knows what may be repeated and for how long.
    let profile = ExecutionProfile::builder()
        .consistency(request::consistency(config.consistency).unwrap_or(Consistency::Quorum))
        .serial_consistency(Some(SerialConsistency::Serial))
        .request_timeout(Some(timeout))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    let connections =
        NonZero::new(config.connections_per_host.max(1) as usize).unwrap_or(NonZero::<usize>::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(&hosts)
        .connection_timeout(connect_timeout)
        .hostname_resolution_timeout(Some(timeout))
        .metadata_request_clientside_timeout(timeout.max(connect_timeout))
        .pool_size(PoolSize::PerHost(connections))
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(timeout)
        // Of the schema only what routing needs: keyspaces may have thousands of tables.
        .fetch_full_schema_metadata(false)
        .schema_agreement_interval(SCHEMA_AGREEMENT_INTERVAL)
        .default_execution_profile_handle(profile.into_handle());
    if config.authenticate {
        builder = builder.user(config.username.to_text(), config.password.to_text());
    }
    if config.use_tls {
        builder = builder.tls_context(Some(tls::context(config, &hosts)?));
    }
    if config.only_contact_points {
        builder = builder.address_translator(Arc::new(OnlyContactPoints::new(&hosts)?));
    }

    // The parts have their limits; this one is for a server that answers each of them slowly.
    let limit = connect_timeout * hosts.len().max(1) as u32 + timeout * 4;
    let session = runtime
        .block_on(async { tokio::time::timeout(limit, builder.build()).await })
        .map_err(|_| Failure::new(Code::Unavailable, "the connection was not set up in time"))?
        .map_err(|error| Failure::from(&error))?;
    Ok(Driver {
        handle: runtime.handle().clone(),
        runtime: Mutex::new(Some(runtime)),
        session: Arc::new(session),
        timeout,
    })
}
