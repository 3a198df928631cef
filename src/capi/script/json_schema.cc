#include "capi/script/json_schema.h"

#include <nlohmann/json.hpp>

#include "capi/script/declarations.h"

namespace capi::script {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDialect = "https://json-schema.org/draft/2020-12/schema";

Json Reference(std::string_view name) { return {{"$ref", "#/$defs/" + std::string(name)}}; }
Json Reference(MapKind kind) { return Reference(DeclarationOf(kind).name); }
Json TypeIs(const char* type) { return {{"type", type}}; }

Json AnyOf(std::initializer_list<Json> alternatives) {
  Json any = Json::array();
  for (const Json& alternative : alternatives) any.push_back(alternative);
  return {{"anyOf", any}};
}

/// Pattern of a placeholder that stands alone between its quotes.
std::string Placeholder(const std::string& type) {
  return "^\\{ *[A-Za-z0-9_]+ *\\| *" + type + " *\\}$";
}

/// Types in one list rather than alternatives: validators then say which key is wrong. null is the
/// same as an absent key.
Json Types(std::initializer_list<const char*> types, bool required) {
  Json list = Json::array();
  for (const char* type : types) list.push_back(type);
  if (!required) list.push_back("null");
  return {{"type", list.size() == 1 ? list[0] : list}};
}

/// A map that must not be null.
Json GivenMap(MapKind kind) {
  Json map = Reference(kind);
  map.update(TypeIs("object"));
  return map;
}

Json SchemaOf(const KeyDeclaration& key) {
  Json schema = {{"description", key.meaning}};
  switch (key.kind) {
    case ValueKind::kString:
      if (key.choices.empty()) {
        schema.update(Types({"string"}, key.required));
      } else {
        Json choices = key.choices;
        if (!key.required) choices.push_back(nullptr);
        schema.update(AnyOf({{{"enum", choices}}, Reference("text_placeholder")}));
      }
      break;
    case ValueKind::kInteger:
      schema.update(Types({"integer", "string"}, key.required));
      if (key.least != INT64_MIN) schema["minimum"] = key.least;
      if (key.most != INT64_MAX) schema["maximum"] = key.most;
      schema["pattern"] = Placeholder("number");
      break;
    case ValueKind::kBoolean:
      schema.update(Types({"boolean", "string"}, key.required));
      schema["pattern"] = Placeholder("bool");
      break;
    case ValueKind::kStrings:
      schema.update(Types({"array", "string"}, key.required));
      schema["items"] = Types({"string"}, true);
      schema["pattern"] = Placeholder("stringlist");
      break;
    case ValueKind::kMap:
      schema.update(Reference(key.below));
      break;
    case ValueKind::kNamedMaps:
      schema.update(Types({"object"}, key.required));
      schema["additionalProperties"] = GivenMap(key.below);
      break;
    case ValueKind::kNamedStrings:
      schema.update(Types({"object"}, key.required));
      schema["additionalProperties"] = Types({"string"}, true);
      break;
    case ValueKind::kMaps:
      schema.update(Types({"array"}, key.required));
      schema["items"] = GivenMap(key.below);
      break;
    case ValueKind::kNodePart:
      schema.update(Types({"object"}, key.required));
      break;
  }
  return schema;
}

Json SchemaOf(const MapDeclaration& map) {
  // null: a part that is absent. Required parts say themselves that they are maps.
  Json schema = Types({"object"}, false);
  schema["properties"] = Json::object();
  Json required = Json::array();
  for (const KeyDeclaration& key : map.keys) {
    schema["properties"][std::string(key.name)] = SchemaOf(key);
    if (key.required) required.push_back(key.name);
  }
  if (!required.empty()) schema["required"] = required;
  schema["additionalProperties"] = false;
  return schema;
}

Json IfEquals(const char* key, std::string_view value, const Json& then) {
  const Json condition = {{"properties", {{key, {{"const", value}}}}},
                          {"required", Json::array({key})}};
  return {{"if", condition}, {"then", then}};
}

/// Parts that a node of some type does not use are accepted and ignored, as by the loader.
Json NodeSchema() {
  Json schema = SchemaOf(DeclarationOf(MapKind::kNode));
  schema["allOf"] = Json::array();
  for (const NodeParts& parts : AllNodeParts()) {
    Json then;
    then["properties"]["r"] = Reference(parts.reader);
    then["properties"]["w"] = Reference(parts.writer);
    Json required = Json::array();
    if (parts.has_lookup) {
      then["properties"]["l"] = Reference(MapKind::kLookup);
      required.push_back("l");
    }
    if (parts.has_processor) {
      required.push_back("custom_proc_type");
      required.push_back("p");
    }
    if (!required.empty()) then["required"] = required;
    schema["allOf"].push_back(IfEquals("type", NodeTypeName(parts.type), then));
  }
  for (const auto& [type, kind] : {std::pair("py_calc", MapKind::kPyProcessor),
                                   std::pair("tag_and_denormalize", MapKind::kTagProcessor)}) {
    const Json then = {{"properties", {{"p", Reference(kind)}}}};
    schema["allOf"].push_back(IfEquals("custom_proc_type", type, then));
  }
  return schema;
}

std::string Text(const Json& schema) { return schema.dump(2) + "\n"; }

}  // namespace

std::string ScriptSchema() {
  Json schema;
  schema["$schema"] = kDialect;
  schema["title"] = "Capillaries script";
  schema.update(SchemaOf(DeclarationOf(MapKind::kScript)));
  Json& definitions = schema["$defs"];
  for (size_t i = 0; i < kNumMapKinds; ++i) {
    const auto kind = static_cast<MapKind>(i);
    if (kind == MapKind::kScript) continue;
    const MapDeclaration& map = DeclarationOf(kind);
    definitions[std::string(map.name)] = kind == MapKind::kNode ? NodeSchema() : SchemaOf(map);
  }
  definitions["text_placeholder"] = {{"type", "string"},
                                     {"pattern", "\\{ *[A-Za-z0-9_]+ *(\\| *(string|date) *)?\\}"}};
  return Text(schema);
}

std::string ParameterSchema() {
  Json schema;
  schema["$schema"] = kDialect;
  schema["title"] = "Parameters of a Capillaries script";
  schema["type"] = "object";
  schema["properties"]["$schema"] = {{"description", "address of this schema, for editors"},
                                     {"type", "string"}};
  schema["additionalProperties"] = AnyOf({TypeIs("string"),
                                          TypeIs("number"),
                                          TypeIs("boolean"),
                                          {{"type", "array"}, {"items", TypeIs("string")}}});
  return Text(schema);
}

}  // namespace capi::script
