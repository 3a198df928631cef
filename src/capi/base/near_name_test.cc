#include "capi/base/near_name.h"

#include <array>
#include <vector>

#include "gtest/gtest.h"

namespace capi {
namespace {

const std::vector<std::string> kFields = {"r.order_id", "r.customer_id", "r.qty", "l.order_id",
                                          "r.é"};

TEST(NearName, FindsSmallMistakes) {
  EXPECT_EQ(NearestName("r.order_di", kFields), "r.order_id");
  EXPECT_EQ(NearestName("r.orderid", kFields), "r.order_id");
  EXPECT_EQ(NearestName("r.custmer_id", kFields), "r.customer_id");
  EXPECT_EQ(NearestName("r.qtty", kFields), "r.qty");
  EXPECT_EQ(NearestName("x.qty", kFields), "r.qty");
}

TEST(NearName, LetterCaseIsTheSmallestMistake) {
  const std::array<std::string_view, 3> names = {"abd", "aBC", "ABC"};
  EXPECT_EQ(NearestName("abc", names), "aBC");
  EXPECT_EQ(NearestName("R.ORDER_ID", kFields), "r.order_id");
}

TEST(NearName, FirstOfEqualOnesWins) {
  EXPECT_EQ(NearestName("x.order_id", kFields), "r.order_id");
}

TEST(NearName, ShortNames) {
  const std::array<std::string_view, 3> names = {"unique", "asc", "desc"};
  EXPECT_EQ(NearestName("uniq", names), "unique");
  EXPECT_EQ(NearestName("dsc", names), "desc");
  EXPECT_EQ(NearestName("un", names), "");
}

TEST(NearName, Hint) {
  EXPECT_EQ(DidYouMean("table"), "; did you mean table?");
  EXPECT_EQ(DidYouMean(""), "");
}

TEST(NearName, NothingNear) {
  EXPECT_EQ(NearestName("r.completely_else", kFields), "");
  EXPECT_EQ(NearestName("", kFields), "");
  EXPECT_EQ(NearestName("orders", std::array<std::string_view, 2>{"visits", "pets"}), "");
  EXPECT_EQ(NearestName("ab", std::array<std::string_view, 1>{"cd"}), "");
  EXPECT_EQ(NearestName("a", std::array<std::string_view, 1>{"b"}), "");
  EXPECT_EQ(NearestName("abc", std::span<const std::string>{}), "");
  EXPECT_EQ(NearestName(std::string(1000, 'a'), kFields), "");
  EXPECT_EQ(NearestName("abc", std::array<std::string_view, 1>{std::string_view()}), "");
}

}  // namespace
}  // namespace capi
