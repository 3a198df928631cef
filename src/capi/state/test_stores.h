#pragma once

// Stores for the tests of this room and of those above it: SQLite in a directory of its own, and a
// keyspace on the server that CAPI_TEST_CASSANDRA ("host:port") names.

#include <memory>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/state/state_store.h"

namespace capi::state {

/// The place of one keyspace; several stores may be open on it at once where the kind allows.
class TestPlace {
 public:
  virtual ~TestPlace() = default;
  virtual Result<std::unique_ptr<StateStore>> Open() = 0;
};

/// A fresh database, removed with the place.
std::unique_ptr<TestPlace> NewSqlitePlace();
/// One keyspace for all tests of the process, because creating one takes seconds, dropped at its
/// end; every store has a session of its own. `lossy`: the answers of a third of all conditional
/// writes get lost. nullptr without CAPI_TEST_CASSANDRA.
std::unique_ptr<TestPlace> NewCassandraPlace(bool lossy);

}  // namespace capi::state
