#include "capi/script/declarations.h"

#include <fstream>
#include <set>
#include <sstream>

#include "capi/data/types.h"
#include "capi/script/json_schema.h"
#include "gtest/gtest.h"

namespace capi::script {
namespace {

std::string ReadDocument(const std::string& name) {
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/docs/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(DeclarationsTest, AreComplete) {
  std::set<std::string_view> names;
  std::set<MapKind> reached = {MapKind::kScript, MapKind::kTagProcessor, MapKind::kPyProcessor,
                               MapKind::kLookup};
  for (size_t i = 0; i < kNumMapKinds; ++i) {
    const MapDeclaration& map = DeclarationOf(static_cast<MapKind>(i));
    EXPECT_FALSE(map.keys.empty()) << i;
    EXPECT_TRUE(names.insert(map.name).second) << map.name;
    std::set<std::string_view> keys;
    for (const KeyDeclaration& key : map.keys) {
      EXPECT_TRUE(keys.insert(key.name).second) << map.name << "." << key.name;
      EXPECT_FALSE(key.meaning.empty()) << map.name << "." << key.name;
      reached.insert(key.below);
    }
  }
  for (const NodeParts& parts : AllNodeParts()) {
    reached.insert({parts.reader, parts.writer});
    EXPECT_EQ(PartsOf(parts.type).type, parts.type);
  }
  EXPECT_EQ(reached.size(), kNumMapKinds) << "a kind of map that no key leads to";
}

TEST(DeclarationsTest, FieldTypesAreTheKnownOnes) {
  for (const std::string_view name : DeclarationOf(MapKind::kTableField).Find("type")->choices) {
    EXPECT_TRUE(data::ParseFieldType(std::string(name)).has_value()) << name;
  }
}

// After a change of the declarations: build/release/capi schema script > docs/script.schema.json
TEST(JsonSchemaTest, CheckedInFilesAreCurrent) {
  EXPECT_EQ(ReadDocument("script.schema.json"), ScriptSchema());
  EXPECT_EQ(ReadDocument("params.schema.json"), ParameterSchema());
}

TEST(JsonSchemaTest, EveryKeyIsInTheReference) {
  const std::string reference = ReadDocument("script-reference.md");
  for (size_t i = 0; i < kNumMapKinds; ++i) {
    const MapDeclaration& map = DeclarationOf(static_cast<MapKind>(i));
    for (const KeyDeclaration& key : map.keys) {
      EXPECT_NE(reference.find(key.name), std::string::npos) << map.name << "." << key.name;
    }
  }
}

}  // namespace
}  // namespace capi::script
