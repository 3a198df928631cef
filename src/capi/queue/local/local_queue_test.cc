#include "capi/queue/local/local_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "capi/base/env.h"

namespace capi::queue {
namespace {

std::string TakeText(Queue* queue, int64_t max_batches) {
  const auto message = queue->Take(max_batches).ValueOrDie();
  if (!message) return "-";
  return std::to_string(message->node_index) + ":" + std::to_string(message->begin) + "-" +
         std::to_string(message->end);
}

class LocalQueueTest : public testing::Test {
 protected:
  void Add(int64_t node, int64_t depth, int64_t begin, int64_t end, int64_t delay_ms = 0) {
    ASSERT_TRUE(queue_->Enqueue({1, node, depth, begin, end}, delay_ms).ok());
  }
  std::unique_ptr<Queue> queue_ = NewLocalQueue(Env::Default());
};

TEST_F(LocalQueueTest, LowerDepthFirstThenBatchIndex) {
  Add(2, 1, 0, 3);
  Add(0, 0, 4, 6);
  Add(0, 0, 0, 2);
  EXPECT_EQ(TakeText(queue_.get(), 10), "0:0-2");
  EXPECT_EQ(TakeText(queue_.get(), 10), "0:4-6");
  EXPECT_EQ(TakeText(queue_.get(), 2), "2:0-2");
  EXPECT_EQ(TakeText(queue_.get(), 2), "2:2-3");
  EXPECT_EQ(TakeText(queue_.get(), 2), "-");
}

TEST_F(LocalQueueTest, AFinishTaskComesBeforeBatchesOfItsDepth) {
  Add(3, 1, 0, 3);
  Add(3, 1, -1, 0);
  EXPECT_EQ(TakeText(queue_.get(), 10), "3:-1-0");
}

TEST_F(LocalQueueTest, TakingNothingChangesNothing) {
  Add(0, 0, 0, 1);
  EXPECT_EQ(TakeText(queue_.get(), 0), "-");
  EXPECT_EQ(TakeText(queue_.get(), 1), "0:0-1");
}

TEST_F(LocalQueueTest, DelayedMessagesComeLater) {
  Add(0, 0, 0, 1, 20);
  EXPECT_EQ(TakeText(queue_.get(), 1), "-");
  const auto delay = queue_->NextDelay().ValueOrDie();
  ASSERT_TRUE(delay.has_value());
  EXPECT_LE(*delay, 21);
  Env::Default()->SleepMillis(25);
  EXPECT_EQ(TakeText(queue_.get(), 1), "0:0-1");
  EXPECT_FALSE(queue_->NextDelay().ValueOrDie().has_value());
}

TEST_F(LocalQueueTest, DiscardCutsOffTheRestOfANode) {
  Add(0, 0, 0, 10);
  Add(0, 0, 20, 30);
  Add(0, 0, 40, 41, 1000);
  Add(1, 0, 0, 10);
  ASSERT_TRUE(queue_->Discard(1, 0, 5).ok());
  EXPECT_EQ(TakeText(queue_.get(), 100), "0:0-5");
  EXPECT_EQ(TakeText(queue_.get(), 100), "1:0-10");
  EXPECT_FALSE(queue_->NextDelay().ValueOrDie().has_value());
}

TEST_F(LocalQueueTest, PurgeEmpties) {
  Add(0, 0, 0, 10);
  Add(0, 0, 0, 10, 1000);
  ASSERT_TRUE(queue_->Purge().ok());
  EXPECT_EQ(TakeText(queue_.get(), 1), "-");
  EXPECT_FALSE(queue_->NextDelay().ValueOrDie().has_value());
}

}  // namespace
}  // namespace capi::queue
