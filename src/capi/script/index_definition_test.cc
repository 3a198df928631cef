#include "capi/script/index_definition.h"

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace capi::script {
namespace {

ComponentFields Fields() {
  ComponentFields fields;
  fields.lookup = [](const std::string& name) -> std::optional<data::FieldType> {
    if (name == "name") {
      return data::FieldType::kString;
    }
    return name == "id" ? std::optional(data::FieldType::kInt) : std::nullopt;
  };
  fields.candidates = {"id", "name"};
  return fields;
}

std::string ErrorOf(const Status& status) {
  const ErrorInfo info = InfoOf(status);
  return info.error_class + " @" + std::to_string(info.expression_offset) + " " + status.message();
}

TEST(IndexDefinition, Components) {
  const KeyDefinition definition =
      *ParseIndexDefinition("unique(id(desc), name(ignore_case, 20), name(desc,asc,),)", Fields());
  EXPECT_TRUE(definition.unique);
  ASSERT_EQ(definition.components.size(), 3u);
  EXPECT_TRUE(definition.components[0].descending);
  EXPECT_EQ(definition.components[0].type, data::FieldType::kInt);
  EXPECT_TRUE(definition.components[1].ignore_case);
  EXPECT_EQ(definition.components[1].text_length, 20);
  EXPECT_FALSE(definition.components[2].descending);
  EXPECT_FALSE(definition.components[2].ignore_case);
  EXPECT_EQ(definition.components[2].text_length, 64);
  EXPECT_FALSE(ParseIndexDefinition("non_unique(id)", Fields())->unique);
  EXPECT_TRUE(ParseIndexDefinition("unique()", Fields())->components.empty());
}

TEST(IndexDefinition, Lengths) {
  const auto length = [](const std::string& text) {
    return ParseIndexDefinition("unique(name(" + text + "))", Fields())->components[0].text_length;
  };
  EXPECT_EQ(length("5"), 16);
  EXPECT_EQ(length("1024"), 1024);
  EXPECT_EQ(length("0x100"), 16);
}

TEST(IndexDefinition, WrongUse) {
  const auto error = [](const std::string& text) {
    const Result<KeyDefinition> result = ParseIndexDefinition(text, Fields());
    return result.ok() ? std::string("none") : ErrorOf(result.status());
  };
  EXPECT_EQ(
      error("uniq(id)"),
      "bad_index_definition @0 an index is unique(...) or non_unique(...), not uniq; did you mean "
      "unique?");
  EXPECT_EQ(error("unique(idd)"), "bad_index_definition @7 no such field: idd; did you mean id?");
  EXPECT_EQ(
      error("unique(r.id(asc))"),
      "bad_index_definition @7 a component is the name of a field without an alias before it");
  EXPECT_EQ(error("unique(id(ignore_case))"),
            "bad_index_definition @10 ignore_case is only for string fields: id");
  EXPECT_EQ(error("unique(id(20))"),
            "bad_index_definition @10 only string fields have a length: id");
  EXPECT_EQ(error("unique(name(1025))"),
            "bad_index_definition @12 a key part may have at most 1024 bytes: 1025");
  EXPECT_EQ(error("unique(name(dsc))"),
            "bad_index_definition @12 unknown modifier: dsc; did you mean desc?");
  for (const char* text :
       {"", "unique", "unique(id", "unique(1)", "unique(id+id)", "unique(name(-5))",
        "unique(name(\"x\"))", "unique(id)(id)", "a.unique(id)", "unique(id) id", "unique((id))",
        "unique(name(99999999999999999999))", "UNIQUE(id)"}) {
    EXPECT_EQ(error(text).substr(0, 20), "bad_index_definition") << text;
  }
}

TEST(Order, IsTheInsideOfADefinition) {
  const auto components = *ParseOrder("id(desc),name", Fields());
  ASSERT_EQ(components.size(), 2u);
  EXPECT_TRUE(components[0].descending);
  EXPECT_TRUE(ParseOrder(" ", Fields())->empty());
}

TEST(Order, WrongUse) {
  const auto error = [](const std::string& text) {
    const auto result = ParseOrder(text, Fields());
    return result.ok() ? std::string("none") : ErrorOf(result.status());
  };
  EXPECT_EQ(error("id, nam"), "bad_order @4 no such field: nam; did you mean name?");
  for (const char* text :
       {"id name", "id)(name", "id), unique(id", "id) || (id", "r.id", "id // x"}) {
    EXPECT_EQ(error(text).substr(0, 9), "bad_order") << text;
  }
}

/// The orders of the key cases; their keys are checked where keys are made.
TEST(Order, OrdersOfKeyCases) {
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/tests/cases/key_cases.jsonl");
  std::string line;
  int num_cases = 0;
  while (std::getline(file, line)) {
    const nlohmann::json item = nlohmann::json::parse(line);
    ComponentFields fields;
    fields.lookup = [&item](const std::string& name) -> std::optional<data::FieldType> {
      const auto field = item["row"].find(name);
      return field == item["row"].end() ? std::nullopt
                                        : data::ParseFieldType((*field)["type"].get<std::string>());
    };
    const auto parsed = ParseOrder(item["order"].get<std::string>(), fields);
    EXPECT_EQ(parsed.ok(), !item.contains("error")) << line;
    ++num_cases;
  }
  EXPECT_GT(num_cases, 50);
}

}  // namespace
}  // namespace capi::script
