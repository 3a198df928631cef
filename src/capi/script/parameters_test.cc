#include "capi/script/parameters.h"

#include <string>
#include <vector>

#include "capi/script/diagnostics_internal.h"
#include "gtest/gtest.h"

namespace capi::script {
namespace {

struct Applied {
  std::string text;
  std::vector<std::string> errors;  ///< "line:column class"
  std::vector<std::string> messages;
  std::vector<std::string> warnings;
  std::unique_ptr<SourceText> source;
};

Applied Apply(const std::string& text, const std::string& parameters,
              const std::vector<std::pair<std::string, std::string>>& overrides = {}) {
  Diagnostics diagnostics(false);
  diagnostics.NoteFile("p.json");
  diagnostics.NoteFile("s.json");
  const SourceText file("p.json", parameters);
  Tree tree;
  Parameters values;
  values.ReadFile(**ParseJson(file, &tree), &diagnostics);
  for (const auto& [name, value] : overrides) {
    values.Override(name, value);
  }
  Applied applied;
  applied.source = values.Apply("s.json", text, &diagnostics);
  applied.text = applied.source->text();
  LoadResult result;
  diagnostics.MoveTo(&result);
  for (const Status& error : result.errors) {
    const ErrorInfo info = InfoOf(error);
    applied.errors.push_back(info.place.file.substr(0, 1) + ":" + std::to_string(info.place.line) +
                             ":" + std::to_string(info.place.column) + " " + info.error_class);
    applied.messages.push_back(error.message());
  }
  for (const Warning& warning : result.warnings) {
    applied.warnings.push_back(warning.message);
  }
  return applied;
}

using Lines = std::vector<std::string>;

TEST(Parameters, ReplacesByType) {
  const Applied applied =
      Apply(R"({"a":"x{s}y{ s }{s|string}","n":"{n|number}","f":"{ f | number }","b":"{b|bool}",)"
            R"("l":"{l|stringlist}"})",
            R"({"s":"v","n":10,"f":2.5,"b":true,"l":["p","q"]})");
  EXPECT_EQ(applied.errors, Lines{});
  EXPECT_EQ(applied.text, R"({"a":"xvyvv","n":10,"f":2.500000,"b":true,"l":["p","q"]})");
}

TEST(Parameters, NumbersKeepIntegers) {
  EXPECT_EQ(Apply(R"(["{n|number}"])", R"({"n":9007199254740993})").text, "[9007199254740993]");
  EXPECT_EQ(Apply(R"(["{n|number}"])", R"({"n":1e2})").text, "[100]");
  EXPECT_EQ(Apply(R"(["{n|number}"])", R"({"n":-0.1})").text, "[-0.100000]");
  EXPECT_EQ(Apply(R"(["{n|number}"])", R"({"n":1e300})").errors, Lines{});
}

TEST(Parameters, LeavesOtherBracesAlone) {
  const std::string text = R"({"a":"{a.b} {x|foo} {} {a-b} {2,3} { } {	t} {{","b":{"c":1}})";
  const Applied applied = Apply(text, "{}");
  EXPECT_EQ(applied.text, text);
  EXPECT_EQ(applied.errors, Lines{});
}

TEST(Parameters, TextIsRawButLineEndsAreEscaped) {
  EXPECT_EQ(Apply(R"("{a}")", R"({"a":"q\"\\x\n\ty"})").text, "\"q\"\\x\\n\ty\"");
}

TEST(Parameters, ReplacementIsASinglePass) {
  EXPECT_EQ(Apply("{a}{b}", R"({"a":"{b}","b":"B"})").text, "{b}B");
}

TEST(Parameters, ExecutionPlaceholdersStay) {
  const Applied applied = Apply("\"o_{batch_idx}_{run_id}_{ run_id | string }\"", "{}");
  EXPECT_EQ(applied.text, "\"o_{batch_idx|string}_{run_id|string}_{run_id|string}\"");
  EXPECT_EQ(applied.errors, Lines{});
}

TEST(Parameters, EmptyListIsAllowed) {
  EXPECT_EQ(Apply(R"(["{l|stringlist}"])", R"({"l":[]})").text, "[[]]");
}

TEST(Parameters, UnresolvedPlaceholdersAreReportedTogether) {
  const Applied applied =
      Apply("[\"{dir_inn}\",\n \"{n|number}\", \"{l|stringlist}\"]", R"({"dir_in":"x","n":"10"})");
  EXPECT_EQ(applied.errors, (Lines{"s:1:3 unresolved_parameter", "s:2:3 unresolved_parameter",
                                   "s:2:17 unresolved_parameter"}));
  EXPECT_EQ(applied.messages[0],
            "no value is given for this placeholder: {dir_inn|string}; did you mean dir_in?");
  EXPECT_EQ(applied.messages[1],
            "the placeholder wants a number, but the parameter is a string: {n|number}");
  EXPECT_TRUE(applied.source->MentionsUnresolved("a {dir_inn|string}"));
  EXPECT_FALSE(applied.source->MentionsUnresolved("a {dir_in|string}"));
}

TEST(Parameters, RegularExpressionsGetAClearMessage) {
  const Applied applied = Apply("\"^[0-9]{3}$\"", "{}");
  EXPECT_EQ(applied.errors, Lines{"s:1:8 unresolved_parameter"});
  EXPECT_EQ(applied.messages[0],
            "one number in braces is taken for a placeholder; in a regular expression write {3,3} "
            "instead: {3}");
}

TEST(Parameters, NumbersAndBoolsStandAloneInQuotes) {
  EXPECT_EQ(Apply(R"({"a":"has {n|number} rows"})", R"({"n":1})").errors,
            Lines{"s:1:11 bad_parameter_reference"});
  EXPECT_EQ(Apply(R"({"a":{b|bool}})", R"({"b":true})").errors,
            Lines{"s:1:6 bad_parameter_reference"});
  EXPECT_EQ(Apply("a: '{b|bool}'\n", R"({"b":true})").errors,
            Lines{"s:1:5 bad_parameter_reference"});
  EXPECT_EQ(Apply(R"(["x{l|stringlist}"])", R"({"l":["a"]})").errors,
            Lines{"s:1:4 unresolved_parameter"});
}

TEST(Parameters, BadValuesAreReportedEvenIfUnused) {
  const Applied applied = Apply("\"{a}\"", "{\"a\":null,\n\"b\":{},\n\"c\":[1],\n\"d\":[\"x\",2]}");
  EXPECT_EQ(applied.errors, (Lines{"p:1:6 bad_parameter_value", "p:2:5 bad_parameter_value",
                                   "p:3:5 bad_parameter_value", "p:4:5 bad_parameter_value"}));
  EXPECT_EQ(Apply("{}", "[1]").errors, Lines{"p:1:1 bad_json"});
  EXPECT_EQ(Apply("{}", "null").errors, Lines{});
}

TEST(Parameters, UnusedOnesAreWarnedAbout) {
  EXPECT_EQ(Apply("{}", R"({"a":"x"})").warnings,
            Lines{"the script does not use this parameter: a"});
  EXPECT_EQ(Apply("{}", "{}", {{"a", "x"}}).warnings,
            Lines{"the script does not use the parameter that was set: a"});
}

TEST(Parameters, OverridesFollowThePlaceholder) {
  const std::string text = R"(["{s}","{n|number}","{b|bool}","{l|stringlist}"])";
  const Applied applied =
      Apply(text, R"({"s":"a","n":1})", {{"s", "5"}, {"n", "7"}, {"b", "false"}, {"l", "x,y"}});
  EXPECT_EQ(applied.errors, Lines{});
  EXPECT_EQ(applied.text, R"(["5",7,false,["x","y"]])");
  EXPECT_EQ(Apply(R"(["{n|number}"])", "{}", {{"n", "x"}}).errors,
            Lines{"s:1:3 bad_parameter_value"});
  EXPECT_EQ(Apply(R"(["{b|bool}"])", "{}", {{"b", "yes"}}).errors,
            Lines{"s:1:3 bad_parameter_value"});
  EXPECT_EQ(Apply(R"(["{l|stringlist}"])", "{}", {{"l", ""}}).text, "[[]]");
}

TEST(Parameters, PlacesLeadBackToTheFile) {
  const Applied applied =
      Apply("[\"{a}\", 1,\n\"{n|number}\", 2]", R"({"a":"long text","n":12345})");
  ASSERT_EQ(applied.text, "[\"long text\", 1,\n12345, 2]");
  const auto place = [&applied](const std::string& piece) {
    const SourcePlace found =
        applied.source->PlaceOf(static_cast<int64_t>(applied.text.find(piece)));
    return std::to_string(found.line) + ":" + std::to_string(found.column);
  };
  EXPECT_EQ(place("long"), "1:3");
  EXPECT_EQ(place("text"), "1:3");
  EXPECT_EQ(place("\", 1"), "1:6");
  EXPECT_EQ(place("1,\n"), "1:9");
  EXPECT_EQ(place("12345"), "2:2");
  EXPECT_EQ(place("2]"), "2:15");
}

}  // namespace
}  // namespace capi::script
