#include "capi/script/python_sources.h"

#include <string>

#include "gtest/gtest.h"

namespace capi::script {
namespace {

/// "name(min,max) ..." with * for any number.
std::string Found(std::string_view source) {
  std::string text;
  for (const auto& [name, function] : FindPythonFunctions(source)) {
    const bool any = function.max_arguments == PythonFunction::kAnyNumber;
    text += name + "(" + std::to_string(function.min_arguments) + "," +
            (any ? "*" : std::to_string(function.max_arguments)) + ") ";
  }
  return text;
}

TEST(PythonSources, TopLevelDefinitions) {
  EXPECT_EQ(Found("def a():\n  pass\ndef b(x, y):\n  return x\n\ndef  c ( x ) :\n  pass\n"),
            "a(0,0) b(2,2) c(1,1) ");
  EXPECT_EQ(Found("class A:\n  def m(self):\n    pass\nif x:\n  def n(): pass\n"), "");
  EXPECT_EQ(Found("default(x)\ndefx(y)\nundef f(x): pass\n"), "");
}

TEST(PythonSources, Defaults) {
  EXPECT_EQ(Found("def a(x, y=1, z=\"a,b)\"): pass\n"), "a(1,3) ");
  EXPECT_EQ(Found("def a(x=(1, 2), y={\"k\": 1}, z=f(1, q=2)): pass\n"), "a(0,3) ");
}

TEST(PythonSources, AnnotationsAndSeveralLines) {
  EXPECT_EQ(Found("def a(x: int, y: dict[str, int] = None) -> float: pass\n"), "a(1,2) ");
  EXPECT_EQ(Found("def a(\n    x,  # first, comma\n    # between\n    y=2,\n):\n  pass\n"),
            "a(1,2) ");
  EXPECT_EQ(Found("def a(x, \\\n  y): pass\r\ndef b(\r\n  z\r\n): pass\r\n"), "a(2,2) b(1,1) ");
}

TEST(PythonSources, StarsAndSlashes) {
  EXPECT_EQ(Found("def a(x, *args): pass\n"), "a(1,*) ");
  EXPECT_EQ(Found("def a(x, /, y, **kw): pass\n"), "a(2,2) ");
  EXPECT_EQ(Found("def a(x, *, y=1): pass\n"), "a(1,1) ");
  EXPECT_EQ(Found("def a(x, *, y): pass\n"), "");
}

TEST(PythonSources, StringsAndCommentsHideDefinitions) {
  EXPECT_EQ(Found("\"\"\"\ndef a(x): pass\n\"\"\"\ndef b(): pass\n"), "b(0,0) ");
  EXPECT_EQ(Found("'''x\\'''\ndef a(x): pass\n'''\n# '''\ndef b(): pass\n"), "b(0,0) ");
  EXPECT_EQ(Found("x = 'it\\'s # no'\ndef b(): pass\n"), "b(0,0) ");
  EXPECT_EQ(Found("x = [\ndef, 1]\ndef b(): pass\n"), "b(0,0) ");
}

TEST(PythonSources, LastDefinitionCounts) {
  EXPECT_EQ(Found("def a(x): pass\ndef a(x, y): pass\n"), "a(2,2) ");
}

TEST(PythonSources, BrokenTextIsTolerated) {
  EXPECT_EQ(Found(""), "");
  EXPECT_EQ(Found("def"), "");
  EXPECT_EQ(Found("def a"), "");
  EXPECT_EQ(Found("def a(x"), "");
  EXPECT_EQ(Found("def (x): pass\ndef b(): pass"), "b(0,0) ");
  EXPECT_EQ(Found("'open\ndef b(): pass"), "b(0,0) ");
  EXPECT_EQ(Found("\\"), "");
}

}  // namespace
}  // namespace capi::script
