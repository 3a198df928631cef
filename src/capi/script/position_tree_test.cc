#include "capi/script/position_tree.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace capi::script {
namespace {

class Parsed {
 public:
  Parsed(TextFormat format, std::string text)
      : source_(format == TextFormat::kJson ? "s.json" : "s.yaml", std::move(text)) {
    const Result<const TreeNode*> result = ParseText(source_, format, &tree_);
    status_ = result.status();
    root_ = result.ok() ? *result : nullptr;
  }
  const TreeNode& root() const { return *root_; }
  const Status& status() const { return status_; }
  std::string error() const { return Describe(status_); }
  const TreeNode& At(const std::string& key) const {
    for (const TreeEntry& entry : root_->entries) {
      if (entry.key == key) {
        return *entry.value;
      }
    }
    ADD_FAILURE() << key;
    return *root_;
  }

 private:
  SourceText source_;
  Tree tree_;
  Status status_;
  const TreeNode* root_ = nullptr;
};

Parsed Json(std::string text) { return Parsed(TextFormat::kJson, std::move(text)); }
Parsed Yaml(std::string text) { return Parsed(TextFormat::kYaml, std::move(text)); }

std::string PlaceText(const SourcePlace& place) {
  return std::to_string(place.line) + ":" + std::to_string(place.column);
}

TEST(JsonTree, PlacesOfValues) {
  const Parsed json =
      Json("{\n  \"a\": 12,\n  \"b\" : [ true, null,\n \"x\"], \"c\":{\"d\":-1.5}\n}");
  ASSERT_TRUE(json.status().ok()) << json.error();
  EXPECT_EQ(PlaceText(json.root().place()), "1:1");
  EXPECT_EQ(PlaceText(json.At("a").place()), "2:8");
  EXPECT_EQ(json.At("a").text, "12");
  EXPECT_EQ(PlaceText(json.At("b").place()), "3:9");
  EXPECT_EQ(PlaceText(json.At("b").items[0]->place()), "3:11");
  EXPECT_EQ(PlaceText(json.At("b").items[1]->place()), "3:17");
  EXPECT_EQ(PlaceText(json.At("b").items[2]->place()), "4:2");
  EXPECT_EQ(PlaceText(json.At("c").place()), "4:12");
  EXPECT_EQ(json.At("c").entries[0].value->text, "-1.5");
  EXPECT_EQ(PlaceText(json.At("c").entries[0].value->place()), "4:17");
  EXPECT_EQ(json.root().entries[1].key_begin, 15);
}

TEST(JsonTree, PlacesInsideStrings) {
  const Parsed json = Json(R"({"a": "x\"y\u00e9\ud83d\ude00z"})");
  const TreeNode& text = json.At("a");
  EXPECT_EQ(text.text, "x\"y\xc3\xa9\xf0\x9f\x98\x80z");
  EXPECT_EQ(text.PlaceInside(0).column, 8);
  EXPECT_EQ(text.PlaceInside(1).column, 9);   // the escaped quote
  EXPECT_EQ(text.PlaceInside(2).column, 11);  // y
  EXPECT_EQ(text.PlaceInside(3).column, 12);  // \u00e9
  EXPECT_EQ(text.PlaceInside(5).column, 18);  // the surrogate pair
  EXPECT_EQ(text.PlaceInside(9).column, 30);  // z
  EXPECT_EQ(text.PlaceInside(-1).column, 7);  // unknown: the quote
}

TEST(JsonTree, RefusesWhatIsNotStrictJson) {
  EXPECT_EQ(Json("").error(), "s.json:1:1: the file is empty, a JSON map is expected");
  EXPECT_EQ(Json("\xef\xbb\xbf{}").error(),
            "s.json:1:1: a JSON file must not begin with a byte order mark");
  for (const char* text :
       {"{\"a\":1,}", "{} x", "// c\n{}", "{'a':1}", "{\"a\":01}", "{\"a\":\"\t\"}", "{\"a\":+1}",
        "{\"a\" 1}", "[1", "{\"a\":\"\\x\"}", "nul"}) {
    const Parsed json = Json(text);
    EXPECT_FALSE(json.status().ok()) << text;
    EXPECT_EQ(InfoOf(json.status()).error_class, "bad_json") << text;
    EXPECT_EQ(InfoOf(json.status()).kind, ErrorKind::kUser) << text;
    EXPECT_TRUE(InfoOf(json.status()).place.known()) << text;
  }
  EXPECT_FALSE(Json(std::string("{}\0x", 4)).status().ok());
  EXPECT_EQ(PlaceText(InfoOf(Json("{\n\"a\": 1,\n}").status()).place), "3:1");
}

TEST(JsonTree, LimitsDepth) {
  EXPECT_TRUE(Json(std::string(200, '[') + std::string(200, ']')).status().ok());
  const Parsed deep = Json(std::string(100000, '['));
  EXPECT_NE(deep.error().find("nested too deeply"), std::string::npos) << deep.error();
}

TEST(JsonTree, LastOfRepeatedNamesIsKept) {
  const Parsed json = Json(R"({"a":1,"b":2,"a":3})");
  const std::vector<TreeEntry> entries = NamedEntries(json.root());
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].key, "b");
  EXPECT_EQ(entries[1].value->text, "3");
}

TEST(YamlTree, PlacesOfValues) {
  const Parsed yaml =
      Yaml("---\na: 12\nb:\n  - true\n  - \"q\"\nc: {d: -1.5}\n\xc3\xa9: x\nf: y\n");
  ASSERT_TRUE(yaml.status().ok()) << yaml.error();
  EXPECT_EQ(PlaceText(yaml.At("a").place()), "2:4");
  EXPECT_EQ(PlaceText(yaml.At("b").items[0]->place()), "4:5");
  EXPECT_EQ(PlaceText(yaml.At("b").items[1]->place()), "5:5");
  EXPECT_EQ(PlaceText(yaml.At("c").entries[0].value->place()), "6:8");
  EXPECT_EQ(PlaceText(yaml.At("\xc3\xa9").place()), "7:5");
  EXPECT_EQ(PlaceText(yaml.At("f").place()), "8:4");
}

TEST(YamlTree, PlacesAfterByteOrderMarkAndCarriageReturns) {
  const Parsed yaml = Yaml(
      "\xef\xbb\xbf"
      "a: 1\r\nb: 2\r\n");
  ASSERT_TRUE(yaml.status().ok()) << yaml.error();
  EXPECT_EQ(PlaceText(yaml.At("b").place()), "2:4");
}

TEST(YamlTree, PlacesInsideStrings) {
  const Parsed yaml = Yaml(
      "p: r.a + r.b\ns: 'it''s r.b'\nd: \"a\\\"\\x41r.b\"\nblock: |\n  r.a\nfold: r.a +\n  r.b\n");
  ASSERT_TRUE(yaml.status().ok()) << yaml.error();
  EXPECT_EQ(PlaceText(yaml.At("p").PlaceInside(6)), "1:10");
  EXPECT_EQ(yaml.At("s").text, "it's r.b");
  EXPECT_EQ(PlaceText(yaml.At("s").PlaceInside(5)), "2:11");
  EXPECT_EQ(PlaceText(yaml.At("d").PlaceInside(3)), "3:12");
  EXPECT_EQ(PlaceText(yaml.At("block").PlaceInside(2)), "4:8");
  EXPECT_EQ(PlaceText(yaml.At("fold").PlaceInside(4)), "6:11");
  EXPECT_EQ(PlaceText(yaml.At("fold").PlaceInside(6)), "6:7");
}

TEST(YamlTree, QuotedScalarsAreStrings) {
  const Parsed yaml = Yaml("a: \"1\"\nb: 'true'\nc: !!str 5\nd: !!int 7\ne: ~\nf:\ng: yes\n");
  ASSERT_TRUE(yaml.status().ok()) << yaml.error();
  EXPECT_EQ(yaml.At("a").kind, TreeNode::Kind::kString);
  EXPECT_EQ(yaml.At("b").kind, TreeNode::Kind::kString);
  EXPECT_EQ(yaml.At("c").kind, TreeNode::Kind::kString);
  EXPECT_EQ(yaml.At("d").kind, TreeNode::Kind::kNumber);
  EXPECT_EQ(yaml.At("e").kind, TreeNode::Kind::kNull);
  EXPECT_EQ(yaml.At("f").kind, TreeNode::Kind::kNull);
  EXPECT_EQ(yaml.At("g").kind, TreeNode::Kind::kString);
}

TEST(YamlTree, AnchorsAndMergeKeys) {
  const Parsed yaml = Yaml(
      "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nm:\n  <<: *b\n  x: 9\nn:\n  <<: [*b, *o]\n"
      "copy: *b\n");
  ASSERT_TRUE(yaml.status().ok()) << yaml.error();
  const TreeNode& m = yaml.At("m");
  ASSERT_EQ(m.entries.size(), 2u);
  EXPECT_EQ(m.entries[0].value->text, "9");
  EXPECT_EQ(m.entries[1].key, "y");
  const TreeNode& n = yaml.At("n");
  ASSERT_EQ(n.entries.size(), 3u);
  EXPECT_EQ(n.entries[1].value->text, "2");
  EXPECT_EQ(n.entries[2].value->text, "4");
  EXPECT_EQ(&yaml.At("copy"), &yaml.At("base"));
}

TEST(YamlTree, RefusesWhatScriptsCannotHold) {
  EXPECT_EQ(Yaml("a: 1\na: 2\n").error(), "s.yaml:2:1: the key stands twice in the same map: a");
  EXPECT_EQ(Yaml("a:\n  1: x\n").error(),
            "s.yaml:2:3: keys must be strings (quote them), but this is a number");
  for (const char* text : {"a: [1", "a: .nan", "a: *x", "a: &x [*x]", "<<: 5\n", "a: {b: 1}}",
                           "\t- a", "a: !!int x", "? [a]\n: b\n", "a: \"\\q\"", "a: b: c"}) {
    const Parsed yaml = Yaml(text);
    EXPECT_FALSE(yaml.status().ok()) << text;
    EXPECT_EQ(InfoOf(yaml.status()).error_class, "bad_json") << text;
    EXPECT_TRUE(InfoOf(yaml.status()).place.known()) << text;
  }
  EXPECT_FALSE(Yaml(std::string("a: 1\0", 5)).status().ok());
  EXPECT_FALSE(Yaml("\xff\xfe"
                    "a")
                   .status()
                   .ok());
}

TEST(YamlTree, OnlyTheFirstDocumentIsRead) {
  const Parsed yaml = Yaml("a: 1\n---\nb: 2\n");
  ASSERT_TRUE(yaml.status().ok()) << yaml.error();
  EXPECT_EQ(yaml.root().entries.size(), 1u);
  EXPECT_EQ(Yaml("").root().kind, TreeNode::Kind::kNull);
  EXPECT_EQ(Yaml("# nothing\n").root().kind, TreeNode::Kind::kNull);
}

TEST(YamlTree, LimitsDepth) {
  EXPECT_FALSE(Yaml(std::string(300, '[') + std::string(300, ']')).status().ok());
  EXPECT_FALSE(Yaml(std::string(100000, '[')).status().ok());
}

TEST(FormatOfUrl, OnlyTheEndingCounts) {
  EXPECT_EQ(*FormatOfUrl("s3://b/x.json"), TextFormat::kJson);
  EXPECT_EQ(*FormatOfUrl("x.yaml"), TextFormat::kYaml);
  for (const char* url : {"x.yml", "x.JSON", "x.json?y=1", "x", ""}) {
    EXPECT_EQ(InfoOf(FormatOfUrl(url).status()).error_class, "unknown_script_format") << url;
  }
}

}  // namespace
}  // namespace capi::script
