#include "capi/state/record_json.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace capi::state {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(RecordJson, ListsAndPairsComeBack) {
  const std::vector<std::string> list = {"", "a \"b\"", "\xe2\x82\xac\n"};
  EXPECT_EQ(ListFromJson(ListToJson(list)), list);
  EXPECT_EQ(ListToJson({}), "[]");
  const Pairs pairs = {{"b", "1=2"}, {"a", ""}, {"b", "[\"x\"]"}};
  EXPECT_EQ(PairsToJson(pairs), R"([["b","1=2"],["a",""],["b","[\"x\"]"]])");
  EXPECT_EQ(PairsFromJson(PairsToJson(pairs)), pairs);
  EXPECT_EQ(PairsFromJson(PairsToJson({})), Pairs());
}

TEST(RecordJson, NodesComeBack) {
  NodeRecord node;
  node.name = "a \"b\"";
  node.type = "table_table";
  node.table = "t";
  node.depth = 3;
  node.batches_total = 1000000;
  node.urls = {"1.csv", "2.csv"};
  node.rerun_fails = true;
  const auto nodes = NewNodesFromJson(NewNodesToJson({NodeRecord(), node}), 7);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].id, (NodeId{7, 0}));
  EXPECT_FALSE(nodes[0].rerun_fails);
  EXPECT_EQ(nodes[1].id, (NodeId{7, 1}));
  EXPECT_EQ(nodes[1].name, node.name);
  EXPECT_EQ(nodes[1].type, node.type);
  EXPECT_EQ(nodes[1].table, node.table);
  EXPECT_EQ(nodes[1].depth, 3);
  EXPECT_EQ(nodes[1].batches_total, 1000000);
  EXPECT_EQ(nodes[1].urls, node.urls);
  EXPECT_TRUE(nodes[1].rerun_fails);
}

TEST(RecordJson, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(ListToJson({"\xff"}), "[\"\xef\xbf\xbd\"]");
}

TEST(RecordJson, OtherTextsGiveNothing) {
  for (const char* text : {"", "x", "{}", "7", "null", "[", R"({"a":["b","c"]})"}) {
    EXPECT_TRUE(ListFromJson(text).empty()) << text;
    EXPECT_TRUE(PairsFromJson(text).empty()) << text;
    EXPECT_TRUE(NewNodesFromJson(text, 1).empty()) << text;
  }
  for (const char* text : {R"([["a","b"],["c"]])", R"([["a","b","c"]])", R"([["a",1]])", "[1]"}) {
    EXPECT_TRUE(PairsFromJson(text).empty()) << text;
  }
  EXPECT_TRUE(NewNodesFromJson("[1]", 1).empty());
  const auto nodes = NewNodesFromJson(R"([{"name":1,"depth":"x","urls":{},"rerun_fails":1}])", 1);
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_TRUE(nodes[0].name.empty());
  EXPECT_EQ(nodes[0].depth, 0);
  EXPECT_TRUE(nodes[0].urls.empty());
  EXPECT_FALSE(nodes[0].rerun_fails);
}

TEST(RecordJson, ProblemsComeBack) {
  const std::map<int64_t, std::string> problems = {{1, "no \"script\""}, {20, "b"}};
  EXPECT_EQ(ProblemsFromJson(ProblemsToJson(problems)), problems);
  EXPECT_EQ(ProblemsToJson({}), "");
  for (const char* wrong : {"", "[]", "{", R"({"x":"y"})", R"({"1":2})", R"({"1 ":"y"})",
                            R"({"":"y"})", R"({"99999999999999999999":"y"})"}) {
    EXPECT_TRUE(ProblemsFromJson(wrong).empty()) << wrong;
  }
}

}  // namespace
}  // namespace capi::state
