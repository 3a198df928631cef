#include "capi/state/test_stores.h"

#include <gtest/gtest.h>

#include <memory>

#include "capi/base/env.h"
#include "capi/base/test_directory.h"
#include "capi/state/sqlite/sqlite_store.h"

namespace capi::state {

namespace {

class SqlitePlace final : public TestPlace {
 public:
  Result<std::unique_ptr<StateStore>> Open() override {
    SqliteOptions options;
    options.path = directory_.path() + "/state.db";
    return OpenSqliteStore(Env::Default(), options);
  }

 private:
  const TestDirectory directory_{testing::TempDir()};
};

}  // namespace

std::unique_ptr<TestPlace> NewSqlitePlace() { return std::make_unique<SqlitePlace>(); }

#ifndef CAPI_WITH_CLUSTER
std::unique_ptr<TestPlace> NewCassandraPlace(bool) { return nullptr; }
#endif

}  // namespace capi::state
