#include <bit>
#include <cstdint>

#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/store/segment/byte_stream_internal.h"
#include "capi/store/segment/layout_internal.h"

namespace capi::store {

namespace {

/// Scale of stored decimals.
constexpr int kDecimalScale = 2;

Status PutValue(data::FieldType type, const data::Value& value, ByteWriter* out) {
  const Status mismatch = BugError("missing value does not have the type of its field");
  switch (type) {
    case data::FieldType::kInt: {
      const auto* number = std::get_if<int64_t>(&value);
      if (number == nullptr) return mismatch;
      out->Put(*number);
      return Status::OK();
    }
    case data::FieldType::kFloat: {
      const auto* number = std::get_if<double>(&value);
      if (number == nullptr) return mismatch;
      out->Put(*number);
      return Status::OK();
    }
    case data::FieldType::kString: {
      const auto* text = std::get_if<std::string>(&value);
      if (text == nullptr) return mismatch;
      out->PutText(*text);
      return Status::OK();
    }
    case data::FieldType::kBool: {
      const auto* truth = std::get_if<bool>(&value);
      if (truth == nullptr) return mismatch;
      out->Put<uint8_t>(*truth ? 1 : 0);
      return Status::OK();
    }
    case data::FieldType::kDecimal2: {
      const auto* decimal = std::get_if<data::BigDecimal>(&value);
      if (decimal == nullptr) return mismatch;
      data::int128 hundredths = 0;
      if (!decimal->ToInt128(kDecimalScale, &hundredths)) return mismatch;
      out->Put(hundredths);
      return Status::OK();
    }
    case data::FieldType::kDatetime: {
      const auto* instant = std::get_if<data::Instant>(&value);
      if (instant == nullptr) return mismatch;
      out->Put(instant->ToMillisFloor());
      return Status::OK();
    }
  }
  return mismatch;
}

data::Value GetValue(data::FieldType type, ByteReader* in) {
  switch (type) {
    case data::FieldType::kInt:
      return in->Get<int64_t>();
    case data::FieldType::kFloat:
      return in->Get<double>();
    case data::FieldType::kString:
      return std::string(in->GetText());
    case data::FieldType::kBool:
      return in->Get<uint8_t>() != 0;
    case data::FieldType::kDecimal2:
      return data::BigDecimal::FromInt128(in->Get<data::int128>(), kDecimalScale);
    case data::FieldType::kDatetime:
      return data::Instant::FromMillis(in->Get<int64_t>());
  }
  return int64_t{0};
}

void PutTableId(const TableId& id, ByteWriter* out) {
  out->Put(id.run_id);
  out->PutText(id.name);
}

TableId GetTableId(ByteReader* in) {
  TableId id;
  id.run_id = in->Get<int64_t>();
  id.name = in->GetText();
  return id;
}

void PutSchema(const TableSchema& schema, ByteWriter* out) {
  out->PutText(schema.name);
  out->Put(static_cast<uint32_t>(schema.fields.size()));
  for (const data::Field& field : schema.fields) {
    out->PutText(field.name);
    out->Put(field.type);
  }
  out->Put(static_cast<uint32_t>(schema.indexes.size()));
  for (const IndexSchema& index : schema.indexes) {
    out->PutText(index.name);
    out->Put<uint8_t>(index.unique ? 1 : 0);
    out->Put(static_cast<uint32_t>(index.components.size()));
    for (const data::KeyComponent& component : index.components) {
      out->PutText(component.field);
      out->Put(component.type);
      out->Put<uint8_t>(component.descending ? 1 : 0);
      out->Put<uint8_t>(component.ignore_case ? 1 : 0);
      out->Put(component.text_length);
    }
  }
  out->PutText(schema.distinct_index);
}

TableSchema GetSchema(ByteReader* in) {
  TableSchema schema;
  schema.name = in->GetText();
  const auto num_fields = in->Get<uint32_t>();
  for (uint32_t f = 0; f < num_fields && in->ok(); ++f) {
    data::Field field;
    field.name = in->GetText();
    field.type = in->Get<data::FieldType>();
    schema.fields.push_back(std::move(field));
  }
  const auto num_indexes = in->Get<uint32_t>();
  for (uint32_t i = 0; i < num_indexes && in->ok(); ++i) {
    IndexSchema index;
    index.name = in->GetText();
    index.unique = in->Get<uint8_t>() != 0;
    const auto num_components = in->Get<uint32_t>();
    for (uint32_t c = 0; c < num_components && in->ok(); ++c) {
      data::KeyComponent component;
      component.field = in->GetText();
      component.type = in->Get<data::FieldType>();
      component.descending = in->Get<uint8_t>() != 0;
      component.ignore_case = in->Get<uint8_t>() != 0;
      component.text_length = in->Get<int64_t>();
      index.components.push_back(std::move(component));
    }
    schema.indexes.push_back(std::move(index));
  }
  schema.distinct_index = in->GetText();
  return schema;
}

}  // namespace

Status TableLayout::AssignSlots() {
  places.assign(types.size(), Place{});
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t i = 0; i < groups[g].fields.size(); ++i) {
      const int field = groups[g].fields[i].first;
      if (field < 0 || static_cast<size_t>(field) >= types.size()) {
        return BugError("reference group names a field outside the table");
      }
      Place& place = places[static_cast<size_t>(field)];
      if (place.group >= 0) return BugError("field is in two reference groups");
      place.group = static_cast<int>(g);
      place.in_group = static_cast<int>(i);
    }
  }
  num_slots = 0;
  for (Place& place : places) {
    if (place.group < 0) place.slot = num_slots++;
  }
  first_group_slot = num_slots;
  for (Place& place : places) {
    if (place.group >= 0) place.slot = first_group_slot + place.group;
  }
  num_slots += static_cast<int>(groups.size());
  return Status::OK();
}

Result<TableLayout> TableLayout::Make(const TableSchema& schema,
                                      const std::vector<TableWriter::ReferenceGroup>& groups) {
  TableLayout layout;
  for (const data::Field& field : schema.fields) layout.types.push_back(field.type);
  for (const TableWriter::ReferenceGroup& group : groups) {
    if (group.source == nullptr) return BugError("reference group without a source table");
    if (group.fields.size() != group.missing.size()) {
      return BugError("reference group has another number of missing values than of fields");
    }
    GroupLayout stored;
    stored.source = group.source->id();
    stored.fields = group.fields;
    stored.missing = group.missing;
    const std::vector<data::Field>& source_fields = group.source->schema().fields;
    for (size_t i = 0; i < group.fields.size(); ++i) {
      const auto [field, source_field] = group.fields[i];
      if (field < 0 || static_cast<size_t>(field) >= schema.fields.size() || source_field < 0 ||
          static_cast<size_t>(source_field) >= source_fields.size()) {
        return BugError("reference group names a field outside its table");
      }
      const data::FieldType type = schema.fields[static_cast<size_t>(field)].type;
      if (type != source_fields[static_cast<size_t>(source_field)].type) {
        return BugError("reference field has another type than its source: " +
                        schema.fields[static_cast<size_t>(field)].name);
      }
      ByteWriter unused;
      CAPI_RETURN_NOT_OK(PutValue(type, group.missing[i], &unused));
    }
    layout.groups.push_back(std::move(stored));
  }
  CAPI_RETURN_NOT_OK(layout.AssignSlots());
  return layout;
}

std::string TableLayout::Serialize() const {
  ByteWriter out;
  out.Put(static_cast<uint32_t>(types.size()));
  for (const data::FieldType type : types) out.Put(type);
  out.Put(static_cast<uint32_t>(groups.size()));
  for (const GroupLayout& group : groups) {
    PutTableId(group.source, &out);
    out.Put(static_cast<uint32_t>(group.fields.size()));
    for (size_t i = 0; i < group.fields.size(); ++i) {
      out.Put(static_cast<int32_t>(group.fields[i].first));
      out.Put(static_cast<int32_t>(group.fields[i].second));
      // Make has checked the types.
      (void)PutValue(types[static_cast<size_t>(group.fields[i].first)], group.missing[i], &out);
    }
  }
  return out.bytes();
}

Result<TableLayout> TableLayout::Parse(std::string_view bytes) {
  ByteReader in(bytes);
  TableLayout layout;
  const auto num_fields = in.Get<uint32_t>();
  for (uint32_t f = 0; f < num_fields && in.ok(); ++f) {
    layout.types.push_back(in.Get<data::FieldType>());
  }
  const auto num_groups = in.Get<uint32_t>();
  for (uint32_t g = 0; g < num_groups && in.ok(); ++g) {
    GroupLayout group;
    group.source = GetTableId(&in);
    const auto count = in.Get<uint32_t>();
    for (uint32_t i = 0; i < count && in.ok(); ++i) {
      const auto field = in.Get<int32_t>();
      const auto source_field = in.Get<int32_t>();
      if (field < 0 || static_cast<size_t>(field) >= layout.types.size()) {
        return EnvironmentError("table layout cannot be read");
      }
      group.fields.emplace_back(field, source_field);
      group.missing.push_back(GetValue(layout.types[static_cast<size_t>(field)], &in));
    }
    layout.groups.push_back(std::move(group));
  }
  if (!in.ok() || !in.at_end()) return EnvironmentError("table layout cannot be read");
  CAPI_RETURN_NOT_OK(layout.AssignSlots());
  return layout;
}

std::string TableDescription::Serialize() const {
  ByteWriter out;
  PutTableId(id, &out);
  out.PutText(layout.Serialize());
  PutSchema(schema, &out);
  return out.bytes();
}

Result<TableDescription> TableDescription::Parse(std::string_view bytes) {
  ByteReader in(bytes);
  TableDescription description;
  description.id = GetTableId(&in);
  CAPI_ASSIGN_OR_RETURN(description.layout, TableLayout::Parse(in.GetText()));
  description.schema = GetSchema(&in);
  if (!in.ok() || !in.at_end() ||
      description.schema.fields.size() != description.layout.types.size()) {
    return EnvironmentError("table description cannot be read");
  }
  return description;
}

}  // namespace capi::store
