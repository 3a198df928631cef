#include "capi/cli/go_flags.h"

#include "gtest/gtest.h"

namespace capi::cli {
namespace {

GoFlags Flags() {
  GoFlags flags;
  flags.Define("name", GoFlags::Type::kString, "usual", "A name");
  flags.Define("count", GoFlags::Type::kInt, "0", "A number");
  flags.Define("all", GoFlags::Type::kBool, "false", "Everything");
  return flags;
}

TEST(GoFlagsTest, Forms) {
  GoFlags flags = Flags();
  EXPECT_EQ(flags.Parse({"-name=a=b", "--count", "-3", "-all", "word", "-name=no"}),
            GoFlags::Outcome::kParsed);
  EXPECT_EQ(flags.Text("name"), "a=b");
  EXPECT_EQ(flags.Int("count"), -3);
  EXPECT_EQ(flags.Text("all"), "true");
  EXPECT_TRUE(flags.Given("count"));
  EXPECT_TRUE(flags.Bool("all"));
  EXPECT_EQ(flags.rest(), (std::vector<std::string>{"word", "-name=no"}));

  flags = Flags();
  EXPECT_EQ(flags.Parse({"-name", "x", "-name=", "--", "-count=1"}), GoFlags::Outcome::kParsed);
  EXPECT_EQ(flags.Text("name"), "");
  EXPECT_FALSE(flags.Given("count"));
  EXPECT_FALSE(flags.Bool("all"));
  EXPECT_EQ(flags.rest(), std::vector<std::string>{"-count=1"});

  // A boolean takes no word: the rest is not parsed, as in Go.
  flags = Flags();
  EXPECT_EQ(flags.Parse({"-all", "false", "-name=x"}), GoFlags::Outcome::kParsed);
  EXPECT_TRUE(flags.Bool("all"));
  EXPECT_EQ(flags.rest(), (std::vector<std::string>{"false", "-name=x"}));
  flags = Flags();
  EXPECT_EQ(flags.Parse({"-count=1", "--count", "2", "-all=false"}), GoFlags::Outcome::kParsed);
  EXPECT_EQ(flags.Int("count"), 2);
  EXPECT_FALSE(flags.Bool("all"));
  EXPECT_TRUE(flags.rest().empty());
}

TEST(GoFlagsTest, Mistakes) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"-nmae=x"}, "flag provided but not defined: -nmae"},
      {{"-count=x"}, "invalid value \"x\" for flag -count: parse error"},
      {{"-all=maybe"}, "invalid value \"maybe\" for flag -all: parse error"},
      {{"-name"}, "flag needs an argument: -name"},
      {{"---name=x"}, "bad flag syntax: ---name=x"},
      {{"-=x"}, "bad flag syntax: -=x"}};
  for (const auto& [arguments, problem] : cases) {
    GoFlags flags = Flags();
    EXPECT_EQ(flags.Parse(arguments), GoFlags::Outcome::kWrong);
    EXPECT_EQ(flags.problem(), problem);
  }
  GoFlags flags = Flags();
  EXPECT_EQ(flags.Parse({"-h"}), GoFlags::Outcome::kHelp);
}

TEST(GoFlagsTest, Usage) {
  EXPECT_EQ(Flags().Names(), (std::vector<std::string>{"all", "count", "name"}));
  EXPECT_EQ(Flags().Usage(),
            "  -all\n    \tEverything\n  -count int\n    \tA number\n  -name string\n    \tA name "
            "(default \"usual\")\n");
}

}  // namespace
}  // namespace capi::cli
