#include "capi/script/model.h"

#include <string>
#include <vector>

#include "capi/script/loader.h"
#include "capi/script/print.h"
#include "capi/script/text_fetcher.h"
#include "gtest/gtest.h"

namespace capi::script {
namespace {

using Names = std::vector<std::string>;

/// A chain of table nodes: each entry "name<creator" or "name<creator<looked-up creator"; a "!"
/// before the name marks a manual node; no "<": a node that reads a file.
std::shared_ptr<const Script> Graph(const Names& nodes) {
  std::string text = "dependency_policies: {p: {is_default: true}}\nnodes:\n";
  for (std::string node : nodes) {
    const bool manual = node[0] == '!';
    node.erase(0, manual ? 1 : 0);
    Names parts;
    for (size_t begin = 0; begin <= node.size();) {
      const size_t end = std::min(node.find('<', begin), node.size());
      parts.push_back(node.substr(begin, end - begin));
      begin = end + 1;
    }
    text += "  " + parts[0] + ":\n";
    text += manual ? "    start_policy: manual\n" : "";
    if (parts.size() == 1) {
      text += "    type: file_table\n    r: {urls: [a], columns: {c: {col_type: int}}}\n";
    } else {
      text += std::string("    type: ") +
              (parts.size() == 3 ? "table_lookup_table" : "table_table") + "\n    r: {table: t_" +
              parts[1] + "}\n";
    }
    if (parts.size() == 3) {
      text += "    l: {index_name: idx_to_check_uniq_" + parts[2] +
              ", join_on: r.k, join_type: inner}\n";
    }
    text += "    w: {name: t_" + parts[0] +
            ", fields: {k: {expression: \"1\", type: int}}, indexes: " + "{idx_to_check_uniq_" +
            parts[0] + ": unique(k)}}\n";
  }
  TextFetcher fetcher({{"s.yaml", text}});
  LoadOptions options;
  options.script_url = "s.yaml";
  const LoadResult result = LoadScript(options, &fetcher);
  for (const Status& error : result.errors) {
    ADD_FAILURE() << Describe(error);
  }
  return result.script;
}

Names NamesOf(const std::vector<const Node*>& nodes) {
  Names names;
  for (const Node* node : nodes) {
    names.push_back(node->name);
  }
  return names;
}

TEST(AffectedNodes, ChainWithAManualNode) {
  const auto script = Graph({"a", "!b<a", "c<b"});
  EXPECT_EQ(*script->AffectedNodes({"a"}), Names{"a"});
  EXPECT_EQ(*script->AffectedNodes({"b"}), (Names{"b", "c"}));
  EXPECT_EQ(*script->AffectedNodes({"a", "b"}), (Names{"a", "b", "c"}));
  EXPECT_EQ(*script->AffectedNodes({"c"}), Names{"c"});
  EXPECT_EQ(*script->AffectedNodes({}), Names{});
}

TEST(AffectedNodes, BehindAManualNodeByAnotherPath) {
  // d is reached from a directly and through the manual b.
  const auto script = Graph({"a", "!b<a", "d<a<b", "e<d"});
  EXPECT_EQ(*script->AffectedNodes({"a"}), Names{"a"});
  EXPECT_EQ(*script->AffectedNodes({"a", "b"}), (Names{"a", "b", "d", "e"}));
  EXPECT_EQ(*script->AffectedNodes({"a", "d"}), (Names{"a", "d", "e"}));
}

TEST(AffectedNodes, DiamondsAreWalkedOnce) {
  Names nodes = {"n0"};
  for (int i = 1; i <= 60; ++i) {
    const std::string before = std::to_string(i - 1);
    nodes.push_back("n" + std::to_string(i) + "<n" + before + "<" +
                    (i == 1 ? "n0" : "n" + std::to_string(i - 2)));
  }
  const auto script = Graph(nodes);
  EXPECT_EQ(script->AffectedNodes({"n0"})->size(), 61u);
}

TEST(AffectedNodes, UnknownName) {
  const auto script = Graph({"orders"});
  const Status status = script->AffectedNodes({"order"}).status();
  EXPECT_EQ(InfoOf(status).error_class, "unknown_node");
  EXPECT_EQ(status.message(), "the script has no such node: order; did you mean orders?");
}

TEST(Script, OrderAndReaders) {
  const auto script = Graph({"z<y", "y<x<w", "x", "w", "v"});
  EXPECT_EQ(NamesOf(script->TopologicalOrder()), (Names{"x", "w", "y", "z", "v"}));
  EXPECT_EQ(NamesOf(script->ReadersOf(*script->FindNode("w"))), Names{"y"});
  EXPECT_EQ(script->FindNode("y")->dependencies(), (Names{"x", "w"}));
  EXPECT_EQ(script->CreatorOf("t_x")->name, "x");
  EXPECT_EQ(script->CreatorOf("t"), nullptr);
  EXPECT_EQ(script->FindNode("t"), nullptr);
}

TEST(Shortened, KeepsBothEnds) {
  EXPECT_EQ(Shortened("abc", 3), "abc");
  EXPECT_EQ(Shortened("abcdefg", 5),
            "ab\xe2\x80\xa6"
            "fg");
  EXPECT_EQ(Shortened("\xc3\xa9\xc3\xa9\xc3\xa9", 3), "\xc3\xa9\xc3\xa9\xc3\xa9");
}

TEST(PrintNodes, AlignsColumns) {
  const auto script = Graph({"a", "!long_name<a<a"});
  EXPECT_EQ(PrintNodes(*script),
            "node       type                reads                  writes       batches  start\n"
            "a          file_table          a                      t_a          1        auto\n"
            "long_name  table_lookup_table  t_a, t_a (inner join)  t_long_name  1        manual\n");
}

}  // namespace
}  // namespace capi::script
