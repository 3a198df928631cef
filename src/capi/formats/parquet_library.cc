#include <exception>
#include <new>

#include "capi/formats/parquet_library_internal.h"
#include "parquet/exception.h"

namespace capi::formats::internal {

namespace {

constexpr char kBadParquet[] = "bad_parquet";

}  // namespace

Status StatusOfCaughtException() {
  try {
    throw;
  } catch (const parquet::ParquetStatusException& e) {
    // Of the input, not of the library.
    if (e.status().detail() != nullptr) return e.status();
    if (e.status().IsOutOfMemory()) {
      return EnvironmentError(e.status().message());
    }
    return UserError(kBadParquet, e.status().message());
  } catch (const parquet::ParquetException& e) {
    return UserError(kBadParquet, e.what());
  } catch (const std::bad_alloc&) {
    return EnvironmentError("memory is exhausted");
  } catch (const std::exception& e) {
    return UserError(kBadParquet, e.what());
  } catch (...) {
    return BugError("unknown exception of the Parquet library");
  }
}

}  // namespace capi::formats::internal
