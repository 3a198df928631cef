#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/test_directory.h"
#include "capi/files/files.h"
#include "capi/files/glob_internal.h"

namespace capi::files {
namespace {

TEST(GlobTest, Names) {
  EXPECT_TRUE(MatchesName("*.csv", "a.csv"));
  EXPECT_TRUE(MatchesName("*", "a"));
  EXPECT_TRUE(MatchesName("a*b*c", "aXbYbZc"));
  EXPECT_TRUE(MatchesName("a*", "a"));
  EXPECT_TRUE(MatchesName("?.csv", "\xC3\xA9.csv"));
  EXPECT_TRUE(MatchesName("??", "ab"));
  EXPECT_TRUE(MatchesName(".*", ".hidden"));
  EXPECT_TRUE(MatchesName("**a", "bba"));
  EXPECT_FALSE(MatchesName("*.csv", ".csv"));
  EXPECT_FALSE(MatchesName("*.csv", "a.csv.gz"));
  EXPECT_FALSE(MatchesName("?", ""));
  EXPECT_FALSE(MatchesName("a?", "a"));
  EXPECT_FALSE(MatchesName("", "a"));
  EXPECT_FALSE(MatchesName("a*b", "aXc"));
  EXPECT_TRUE(MatchesName("[a]", "[a]"));
}

TEST(GlobTest, LongNamesTakeNoExponentialTime) {
  const std::string name(2000, 'a');
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(MatchesName(pattern + "b", name));
}

TEST(GlobTest, Paths) {
  EXPECT_TRUE(MatchesPath("in/*/a?.csv", "in/x/ab.csv"));
  EXPECT_FALSE(MatchesPath("in/*", "in/x/y"));
  EXPECT_FALSE(MatchesPath("*/a", "a"));
}

class ExpandTest : public testing::Test {
 protected:
  ExpandTest() : directory_(testing::TempDir()) {
    for (const char* name :
         {"b.csv", "a.csv", "B.csv", "a10.csv", "a2.csv", ".x.csv", "c.txt", "2026-01/p.csv",
          "2026-02/p.csv", "2027-01/p.csv", "d.csv/inner.csv"}) {
      const std::filesystem::path path = directory_ / name;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << "x";
    }
    std::filesystem::create_symlink("missing", directory_ / "dangling.csv");
  }
  std::vector<std::string> Expand(const std::string& pattern) {
    std::vector<std::string> names = files_->Expand(directory_ / pattern).ValueOrDie();
    for (std::string& name : names) name = name.substr((directory_ / "").size());
    return names;
  }
  const TestDirectory directory_;
  const std::unique_ptr<Files> files_ = Files::Make(Env::Default(), {}).ValueOrDie();
};

TEST_F(ExpandTest, LocalFilesInBytewiseOrder) {
  using List = std::vector<std::string>;
  EXPECT_EQ(Expand("*.csv"), (List{"B.csv", "a.csv", "a10.csv", "a2.csv", "b.csv"}));
  EXPECT_EQ(Expand("a?.csv"), (List{"a2.csv"}));
  EXPECT_EQ(Expand("2026-*/p.csv"), (List{"2026-01/p.csv", "2026-02/p.csv"}));
  EXPECT_EQ(Expand("*/*.csv"),
            (List{"2026-01/p.csv", "2026-02/p.csv", "2027-01/p.csv", "d.csv/inner.csv"}));
  EXPECT_EQ(Expand("plain-and-missing.csv"), (List{"plain-and-missing.csv"}));
}

TEST_F(ExpandTest, AFileOfThatVeryName) {
  std::ofstream(directory_ / "a*.csv") << "x";
  EXPECT_EQ(Expand("a*.csv"), std::vector<std::string>{"a*.csv"});
}

TEST_F(ExpandTest, NoMatchNamesThePattern) {
  for (const char* pattern : {"*.json", "nowhere/*.csv", "c.txt/*"}) {
    const Status status = files_->Expand(directory_ / pattern).status();
    EXPECT_EQ(InfoOf(status).error_class, "no_match");
    EXPECT_NE(status.message().find(pattern), std::string::npos) << status;
  }
}

TEST_F(ExpandTest, QueriesAreNoPatterns) {
  const std::string url = "http://h/a?b=*";
  EXPECT_EQ(files_->Expand(url).ValueOrDie(), std::vector<std::string>{url});
}

}  // namespace
}  // namespace capi::files
