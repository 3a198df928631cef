#pragma once

// A RowPublisher into a Cassandra keyspace. Layout and order: docs/design/store-rows.md.

#include <cstdint>
#include <memory>
#include <string>

#include "capi/cql/session.h"
#include "capi/store/rows/row_publisher.h"

namespace capi::store {

/// Rows and index entries that are sent as one request: as many as servers take without a warning.
constexpr int64_t kWritesPerRequest = 10;

/// `session` outlives the publisher. Connects to nothing.
std::unique_ptr<RowPublisher> NewCassandraRowPublisher(
    cql::Session* session, const std::string& keyspace,
    int64_t writes_per_request = kWritesPerRequest);

}  // namespace capi::store
