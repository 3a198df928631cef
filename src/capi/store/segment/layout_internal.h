#pragma once

// How the fields of a table are spread over slots: one block per slot and chunk. Fields of a
// reference group share the slot of the group's row ids.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"
#include "capi/store/table_store.h"

namespace capi::store {

struct GroupLayout {
  TableId source;
  std::vector<std::pair<int, int>> fields;  ///< (field of this table, field of the source)
  std::vector<data::Value> missing;
};

struct TableLayout {
  struct Place {
    int slot = 0;
    int group = -1;     ///< -1: stored here
    int in_group = -1;  ///< position in the group's fields
  };
  std::vector<data::FieldType> types;
  std::vector<GroupLayout> groups;
  std::vector<Place> places;  ///< per field
  int num_slots = 0;
  int first_group_slot = 0;  ///< group g has slot first_group_slot + g

  /// kBug when a field is in two groups, has another type than in the source, and so on.
  static Result<TableLayout> Make(const TableSchema& schema,
                                  const std::vector<TableWriter::ReferenceGroup>& groups);
  std::string Serialize() const;
  static Result<TableLayout> Parse(std::string_view bytes);

 private:
  Status AssignSlots();
};

/// Name, schema and layout of a frozen table.
struct TableDescription {
  TableId id;
  TableSchema schema;
  TableLayout layout;

  std::string Serialize() const;
  static Result<TableDescription> Parse(std::string_view bytes);
};

}  // namespace capi::store
