#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "capi/files/sliding_text_internal.h"

namespace capi::files {
namespace {

constexpr int64_t kMegabyte = int64_t{1} << 20;

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(SlidingTextTest, StreamsFarMoreThanItsWindow) {
  const auto text = SlidingText::Make(4 * kMegabyte).ValueOrDie();
  constexpr int64_t kTotal = 300 * kMegabyte;
  const int64_t resident_before = ResidentBytes();
  std::thread producer([&] {
    std::string block(3 * kMegabyte + 17, 'x');
    int64_t written = 0;
    while (written < kTotal) {
      const auto n =
          static_cast<size_t>(std::min(kTotal - written, static_cast<int64_t>(block.size())));
      block[0] = static_cast<char>('a' + written % 7);
      ASSERT_TRUE(text->Append({block.data(), n}).ok());
      written += static_cast<int64_t>(n);
    }
    text->End(Status::OK());
  });
  const exec::CancelToken cancel;
  int64_t at = 0;
  int64_t sum = 0;
  while (true) {
    const int64_t available = text->WaitFor(at + kMegabyte, cancel).ValueOrDie();
    for (int64_t i = at; i < std::min(available, at + kMegabyte); ++i)
      sum += text->data()[i] == 'x';
    if (available < at + kMegabyte) break;
    at += kMegabyte;
    text->Release(at);
    ASSERT_LT(ResidentBytes() - resident_before, 40 * kMegabyte);
  }
  producer.join();
  EXPECT_GT(sum, kTotal - 1000);
  EXPECT_EQ(text->WaitFor(kTotal + 1, cancel).ValueOrDie(), kTotal);
}

TEST(SlidingTextTest, AskingForMoreThanTheWindowGetsIt) {
  const auto text = SlidingText::Make(2 * kMegabyte).ValueOrDie();
  std::thread producer([&] {
    EXPECT_TRUE(text->Append(std::string(20 * kMegabyte, 'y')).ok());
    text->End(Status::OK());
  });
  const exec::CancelToken cancel;
  EXPECT_GE(text->WaitFor(15 * kMegabyte, cancel).ValueOrDie(), 15 * kMegabyte);
  EXPECT_EQ(text->data()[15 * kMegabyte - 1], 'y');
  EXPECT_EQ(text->WaitFor(100 * kMegabyte, cancel).ValueOrDie(), 20 * kMegabyte);
  producer.join();
}

TEST(SlidingTextTest, AnErrorComesWhenTheTextBeforeItHasBeenRead) {
  const auto text = SlidingText::Make(kMegabyte).ValueOrDie();
  const exec::CancelToken cancel;
  ASSERT_TRUE(text->Append("abc").ok());
  text->End(UserError("corrupt_file", "broken"));
  EXPECT_EQ(text->WaitFor(3, cancel).ValueOrDie(), 3);
  EXPECT_EQ(InfoOf(text->WaitFor(4, cancel).status()).error_class, "corrupt_file");
}

TEST(SlidingTextTest, TheReaderGoesAway) {
  const auto text = SlidingText::Make(kMegabyte).ValueOrDie();
  std::atomic<bool> ended{false};
  std::thread producer([&] {
    EXPECT_EQ(KindOf(text->Append(std::string(10 * kMegabyte, 'z'))), ErrorKind::kCancelled);
    ended = true;
  });
  text->Close();
  producer.join();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(text->closed());
}

TEST(SlidingTextTest, Cancel) {
  const auto text = SlidingText::Make(kMegabyte).ValueOrDie();
  const exec::CancelToken cancel;
  std::thread stopper([&] { cancel.Cancel(CancelledError("stop")); });
  EXPECT_EQ(KindOf(text->WaitFor(1, cancel).status()), ErrorKind::kCancelled);
  stopper.join();
}

}  // namespace
}  // namespace capi::files
