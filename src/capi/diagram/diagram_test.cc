#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "capi/diagram/dot.h"
#include "capi/diagram/graph_json.h"
#include "capi/diagram/layout.h"
#include "capi/diagram/svg.h"
#include "capi/script/loader.h"
#include "capi/script/text_fetcher.h"
#include "gtest/gtest.h"

namespace capi::diagram {
namespace {

std::shared_ptr<const script::Script> LoadText(const std::string& text) {
  script::TextFetcher fetcher({{"s.yaml", text}});
  script::LoadOptions options;
  options.script_url = "s.yaml";
  const script::LoadResult result = script::LoadScript(options, &fetcher);
  for (const Status& error : result.errors) {
    ADD_FAILURE() << Describe(error);
  }
  return result.script;
}

constexpr char kPolicies[] = "dependency_policies: {p: {is_default: true}}\nnodes:\n";

std::string FileNode(const std::string& name) {
  return "  \"" + name +
         "\":\n    type: file_table\n    desc: 'a \"b\" <c> & {d|e}'\n"
         "    r: {urls: [in/a.csv, b], columns: {c: {col_type: int}}}\n    w: {name: t_" +
         name + ", fields: {k: {expression: r.c, type: int}}, indexes: {idx_to_check_uniq_" + name +
         ": unique(k)}}\n";
}

std::string JoinNode(const std::string& name, const std::string& left, const std::string& right) {
  return "  " + name +
         ":\n    type: table_lookup_table\n    start_policy: manual\n    r: {table: t_" + left +
         ", expected_batches_total: 3}\n    l: {index_name: idx_to_check_uniq_" + right +
         ", join_on: r.k, join_type: left}\n    w: {name: t_" + name +
         ", fields: {k: {expression: r.k, type: int}}, indexes: {idx_to_check_uniq_" + name +
         ": unique(k)}}\n";
}

std::string OutNode(const std::string& name, const std::string& table) {
  return "  " + name + ":\n    type: table_file\n    r: {table: t_" + table +
         "}\n    w: {url_template: 'out/{run_id}/a very long name of a file that does not "
         "fit.csv', "
         "columns: [{name: k, type: int, expression: r.k, csv: {header: k, format: '%d'}}]}\n";
}

std::shared_ptr<const script::Script> Small() {
  return LoadText(std::string(kPolicies) + FileNode("a") + FileNode("b") + JoinNode("j", "a", "b") +
                  OutNode("o", "j") + OutNode("p", "a"));
}

/// A script of many joins, each of two earlier tables.
std::shared_ptr<const script::Script> Large(int num_nodes) {
  std::string text = kPolicies;
  for (int i = 0; i < num_nodes; ++i) {
    const std::string name = "n" + std::to_string(i);
    text += i < 10 ? FileNode(name)
                   : JoinNode(name, "n" + std::to_string((i * 7) % i),
                              "n" + std::to_string((i * 13 + 5) % i));
  }
  return LoadText(text);
}

void ExpectGoodLayout(const Layout& layout) {
  for (size_t i = 0; i < layout.boxes.size(); ++i) {
    const Box& box = layout.boxes[i];
    EXPECT_GE(box.left, 0);
    EXPECT_GE(box.top, 0);
    EXPECT_LE(box.left + box.width, layout.width);
    EXPECT_LE(box.top + box.height, layout.height);
    for (size_t k = 0; k < i; ++k) {
      const Box& other = layout.boxes[k];
      const bool apart = box.left + box.width <= other.left ||
                         other.left + other.width <= box.left ||
                         box.top + box.height <= other.top || other.top + other.height <= box.top;
      EXPECT_TRUE(apart) << box.node->name << " covers " << other.node->name;
    }
  }
  for (const Edge& edge : layout.edges) {
    for (size_t i = 1; i < edge.points.size(); ++i) {
      EXPECT_LT(edge.points[i - 1].x, edge.points[i].x);
    }
  }
}

TEST(Layout, BoxesDoNotOverlapAndEdgesGoRight) {
  for (const auto& script : {Small(), Large(60)}) {
    ExpectGoodLayout(LayOut(*script));
  }
}

TEST(Layout, SourcesStandNextToTheirReaders) {
  const auto script = LoadText(std::string(kPolicies) + FileNode("a") + FileNode("b") +
                               JoinNode("j", "a", "a") + JoinNode("k", "j", "b"));
  const Layout layout = LayOut(*script);
  EXPECT_EQ(layout.boxes[1].node->name, "b");
  EXPECT_EQ(layout.boxes[1].layer, 1u);
}

TEST(Layout, TwoHundredNodesTakeMilliseconds) {
  const auto script = Large(200);
  const auto begin = std::chrono::steady_clock::now();
  ExpectGoodLayout(LayOut(*script));
  const auto time = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(std::chrono::duration_cast<std::chrono::milliseconds>(time).count(), 1000);
}

TEST(Layout, EmptyScript) {
  const Layout layout = LayOut(*LoadText("dependency_policies: {p: {is_default: true}}\n"));
  EXPECT_TRUE(layout.boxes.empty());
  EXPECT_GT(layout.width, 0);
  EXPECT_GT(layout.height, 0);
}

TEST(Svg, StandsAloneAndIsDeterministic) {
  const std::string svg = *RenderSvg(*Small());
  EXPECT_EQ(svg, *RenderSvg(*Small()));
  EXPECT_EQ(svg.substr(0, 5), "<svg ");
  EXPECT_NE(svg.find("data-node=\"j\""), std::string::npos);
  EXPECT_NE(svg.find("box join manual"), std::string::npos);
  EXPECT_NE(svg.find("edge lookup"), std::string::npos);
  EXPECT_NE(svg.find("a &quot;b&quot; &lt;c&gt; &amp; {d|e}"), std::string::npos);
  EXPECT_EQ(svg.find("a \"b\""), std::string::npos);
  EXPECT_NE(svg.find("3 batches"), std::string::npos);
}

TEST(Dot, LabelsOfArrows) {
  const auto script = Small();
  const std::string indexes = RenderDot(*script);
  EXPECT_NE(indexes.find("label=\"t_a (3 batches)\\l\""), std::string::npos) << indexes;
  EXPECT_NE(indexes.find("label=\"idx_to_check_uniq_b (lookup)\\l\""), std::string::npos);
  const std::string fields = RenderDot(*script, {/*indexes=*/false, /*fields=*/true});
  EXPECT_EQ(fields.find("batches"), std::string::npos);
  EXPECT_NE(fields.find("style=dotted, fontsize=18, label=\"c\\l\""), std::string::npos) << fields;
  EXPECT_NE(fields.find("[fontsize=18, label=\"k\\l\"]"), std::string::npos);
  const std::string both = RenderDot(*script, {true, true});
  EXPECT_NE(both.find("label=\"t_a (3 batches)\\lk\\l\""), std::string::npos) << both;
  const std::string none = RenderDot(*script, {false, false});
  EXPECT_EQ(none.find("\\l"), std::string::npos) << none;
}

TEST(Dot, ManyFilesAreCut) {
  std::string urls;
  for (int i = 0; i < 6; ++i) urls += "f" + std::to_string(i) + ",";
  std::string node = FileNode("a");
  node.replace(node.find("in/a.csv, b"), 11, urls.substr(0, urls.size() - 1));
  const std::string dot = RenderDot(*LoadText(std::string(kPolicies) + node));
  EXPECT_NE(dot.find("label=\"f0\\nf1\\nf2\\nf3\\nand 2 more\""), std::string::npos) << dot;
}

TEST(GraphJson, NodesAndEdges) {
  const nlohmann::json json = nlohmann::json::parse(RenderJson(*Small()));
  ASSERT_EQ(json["nodes"].size(), 5u);
  std::vector<std::string> names;
  for (const auto& node : json["nodes"]) names.push_back(node["name"].get<std::string>());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "j", "o", "p"}));
  EXPECT_EQ(json["nodes"][0]["reads"].dump(), R"(["in/a.csv","b"])");
  EXPECT_EQ(json["nodes"][0]["batches"].get<int>(), 2);
  EXPECT_EQ(json["nodes"][2]["start_policy"].get<std::string>(), "manual");
  EXPECT_EQ(json["nodes"][2]["reads"].get<std::string>(), "t_a");
  EXPECT_EQ(json["edges"].size(), 4u);
  EXPECT_EQ(
      json["edges"][1].dump(),
      R"({"fields":[],"from":"b","index":"idx_to_check_uniq_b","kind":"lookup","table":"t_b","to":"j"})");
}

TEST(Dot, EscapesWhatRecordsWouldRead) {
  const std::string dot = RenderDot(*Small());
  EXPECT_NE(dot.find(R"(label="{a|creates\ table:\nt_a}")"), std::string::npos) << dot;
  EXPECT_NE(dot.find(R"(out/\{run_id\|string\}/a\ very\ long)"), std::string::npos) << dot;
  EXPECT_NE(dot.find(R"(tooltip="a \"b\" <c> & {d|e}")"), std::string::npos) << dot;
  EXPECT_NE(dot.find(R"(|group:false,\ join:left}")"), std::string::npos) << dot;
  EXPECT_NE(dot.find(R"("node b" -> "node j" [style=dashed)"), std::string::npos) << dot;
  EXPECT_NE(dot.find("penwidth=6"), std::string::npos) << dot;
}

}  // namespace
}  // namespace capi::diagram
