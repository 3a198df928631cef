#pragma once

// What the cells of one CSV column have in common.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/data/datetime.h"
#include "capi/service/file_schema.h"

namespace capi::service {

/// Where something was seen first.
struct Sighting {
  int64_t count = 0;
  int64_t line = 0;
  std::string text;
  void Add(std::string_view cell, int64_t cell_line) {
    if (count++ == 0) {
      line = cell_line;
      text = cell.substr(0, kShown);
    }
  }
  static constexpr size_t kShown = 40;
};

/// What kind of text a cell is; each is a possible type.
enum class CellKind : uint8_t {
  kBlank,
  kNullText,  ///< "NA", "null", ...
  kInt,
  kDecimal2,  ///< exactly two digits behind the point
  kFloat,
  kBool,
  kDatetime,
  kString,
};
constexpr size_t kNumCellKinds = 8;

/// The kind of a cell, without looking at others; not kDatetime, which depends on layouts.
CellKind CellKindOf(std::string_view cell);
/// True for numbers, booleans and texts that are datetimes by one of the known layouts.
bool LooksTyped(std::string_view cell);

class ColumnGuess {
 public:
  explicit ColumnGuess(const InferOptions* options) : options_(*options) {}

  void Add(std::string_view cell, int64_t line);
  /// Decides. Notes name the column as `name`.
  FileSchemaColumn Finish(const std::string& name, std::vector<SchemaNote>* notes) const;

 private:
  struct LayoutState {
    bool fits = true;  ///< all datetimes so far
    Sighting inexact;  ///< datetimes that are printed differently
  };

  Sighting& seen(CellKind kind) { return seen_[static_cast<size_t>(kind)]; }
  const Sighting& seen(CellKind kind) const { return seen_[static_cast<size_t>(kind)]; }
  int64_t count(CellKind kind) const { return seen(kind).count; }
  void AddNumber(std::string_view cell, CellKind kind, int64_t line);
  bool AddDatetime(std::string_view cell, int64_t line);
  /// Type of the cells that are neither blank nor a text for "no value".
  data::FieldType TypeOfFilled() const;
  /// Settles formats of a number, boolean or datetime column; returns what is written differently.
  Sighting Describe(FileSchemaColumn* column) const;
  size_t BestLayout() const;
  void NoteMinority(std::vector<SchemaNote>* notes, const std::string& name) const;

  const InferOptions& options_;
  int64_t num_cells_ = 0;
  std::array<Sighting, kNumCellKinds> seen_;
  Sighting leading_zero_;
  Sighting padded_;           ///< numbers behind blanks
  Sighting inexact_int_;      ///< "+5", "-0"
  Sighting inexact_decimal_;  ///< ".50", "+1.00", integers among decimals are counted apart
  Sighting inexact_shortest_;
  Sighting inexact_fixed_;
  Sighting inexact_bool_;
  std::vector<std::string> null_values_;
  int64_t least_decimals_ = INT64_MAX;
  int64_t most_decimals_ = 0;
  std::vector<LayoutState> layouts_;  ///< parallel to the known layouts; empty: no datetime yet
  Sighting other_layout_;
};

}  // namespace capi::service
