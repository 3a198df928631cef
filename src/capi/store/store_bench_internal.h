#pragma once

// What the store's benchmarks share: data like that of the lookup demo: orders and 4.5 times as
// many items, in random order, with 32-character ids.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/exec/context.h"
#include "capi/store/table_store.h"

namespace capi::store {
using Column = std::shared_ptr<arrow::Array>;

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    std::abort();
  }
  return std::move(result).ValueUnsafe();
}

inline void Must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

constexpr int64_t kOrders = 1'000'000;
constexpr int64_t kItems = 4'500'000;
constexpr int64_t kChunk = 65536;

inline std::string HexId(uint64_t seed) {
  std::mt19937_64 random(seed);
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(random()),
                static_cast<unsigned long long>(random()));
  return text;
}

inline Column Words(const std::shared_ptr<arrow::DataType>& type,
                    const std::vector<int64_t>& values) {
  std::shared_ptr<arrow::Buffer> buffer = arrow::Buffer::FromVector(values);
  return arrow::MakeArray(arrow::ArrayData::Make(type, static_cast<int64_t>(values.size()),
                                                 {nullptr, std::move(buffer)}, 0));
}

/// Everything the benchmarks share; built once.
class World {
 public:
  static World& Get() {
    static World world;
    return world;
  }

  World() {
    directory_ = std::filesystem::temp_directory_path() /
                 ("capi_store_bench_" + std::to_string(Env::Default()->Random()));
    pool_ = Must(exec::TaskPool::Make(1));
    budget_ = std::make_unique<exec::MemoryBudget>(0);
    context_.env = Env::Default();
    context_.pool = pool_.get();
    context_.memory = budget_.get();
    context_.spill_directory = directory_;
    store_ = Must(TableStore::Open(Env::Default(), directory_));

    std::mt19937_64 random(1);
    std::vector<std::string> products;
    std::vector<std::string> sellers;
    for (uint64_t i = 0; i < 10000; ++i) products.push_back(HexId(i + 1'000'000'000));
    for (uint64_t i = 0; i < 200; ++i) sellers.push_back(HexId(i + 2'000'000'000));
    for (int64_t i = 0; i < kOrders; ++i) orders_.push_back(HexId(static_cast<uint64_t>(i)));
    for (int64_t begin = 0; begin < kItems; begin += kChunk) {
      const int64_t n = std::min(kChunk, kItems - begin);
      arrow::StringBuilder order;
      arrow::StringBuilder product;
      arrow::StringBuilder seller;
      std::vector<int64_t> item;
      std::vector<int64_t> time;
      std::vector<int64_t> price;
      for (int64_t i = 0; i < n; ++i) {
        const uint64_t p = random() % products.size();
        Must(order.Append(orders_[random() % orders_.size()]));
        Must(product.Append(products[p]));
        Must(seller.Append(sellers[p % sellers.size()]));
        item.push_back(static_cast<int64_t>(random() % 9) + 1);
        time.push_back(1451606400000 + static_cast<int64_t>(random() % 103'000'000) * 1000);
        price.push_back(500 + static_cast<int64_t>(p * 7919 % 29500));
      }
      TableWriter::Batch batch;
      batch.num_rows = n;
      batch.columns = {Must(order.Finish()),
                       Words(arrow::int64(), item),
                       Must(product.Finish()),
                       Must(seller.Finish()),
                       Words(data::ArrowTypeOf(data::FieldType::kDatetime), time),
                       Words(data::ArrowTypeOf(data::FieldType::kDecimal2), price)};
      items_.push_back(std::move(batch));
    }
  }
  ~World() { std::filesystem::remove_all(directory_); }

  TableSchema ItemSchema(bool indexed) const {
    TableSchema schema{"items",
                       {{"order_id", data::FieldType::kString},
                        {"item", data::FieldType::kInt},
                        {"product_id", data::FieldType::kString},
                        {"seller_id", data::FieldType::kString},
                        {"shipping_limit", data::FieldType::kDatetime},
                        {"price", data::FieldType::kDecimal2}},
                       {},
                       ""};
    if (indexed) schema.indexes = {{"by_order", false, {{"order_id", data::FieldType::kString}}}};
    return schema;
  }
  const std::vector<TableWriter::Batch>& items() const { return items_; }

  std::vector<AttemptManifest> WriteItems(int attempts) {
    std::vector<AttemptManifest> manifests;
    const size_t per =
        (items_.size() + static_cast<size_t>(attempts) - 1) / static_cast<size_t>(attempts);
    for (int a = 0; a < attempts; ++a) {
      auto writer = Must(store_->NewWriter(context_, {1, "items"}, ItemSchema(true), a, {}));
      for (size_t b = per * static_cast<size_t>(a);
           b < std::min(items_.size(), per * static_cast<size_t>(a + 1)); ++b) {
        Must(writer->Put(items_[b]));
      }
      manifests.push_back(Must(writer->Finish()));
    }
    return manifests;
  }
  FreezeResult Freeze(const std::vector<AttemptManifest>& attempts) {
    std::vector<std::string> texts;
    for (const AttemptManifest& attempt : attempts) texts.push_back(attempt.text);
    return Must(store_->FreezeTable(context_, {1, "items"}, ItemSchema(true), texts));
  }
  void MakeDurable(const std::vector<AttemptManifest>& attempts) {
    std::vector<const AttemptManifest*> pointers;
    for (const AttemptManifest& attempt : attempts) pointers.push_back(&attempt);
    Must(store_->MakeDurable(pointers));
  }
  const std::shared_ptr<const Table>& ItemTable() {
    if (item_table_ == nullptr) {
      const std::vector<AttemptManifest> attempts = WriteItems(4);
      MakeDurable(attempts);
      item_table_ = Must(store_->OpenTable(Freeze(attempts).manifest, nullptr));
    }
    return item_table_;
  }
  const std::shared_ptr<const Table>& OrderTable() {
    if (order_table_ == nullptr) {
      const TableSchema schema{"orders",
                               {{"order_id", data::FieldType::kString}},
                               {{"by_id", true, {{"order_id", data::FieldType::kString}}}},
                               ""};
      auto writer = Must(store_->NewWriter(context_, {1, "orders"}, schema, 0, {}));
      for (int64_t begin = 0; begin < kOrders; begin += kChunk) {
        arrow::StringBuilder ids;
        for (int64_t i = begin; i < std::min(begin + kChunk, kOrders); ++i) {
          Must(ids.Append(orders_[static_cast<size_t>(i)]));
        }
        TableWriter::Batch batch;
        batch.columns = {Must(ids.Finish())};
        batch.num_rows = batch.columns[0]->length();
        Must(writer->Put(batch));
      }
      const AttemptManifest attempt = Must(writer->Finish());
      MakeDurable({attempt});
      order_table_ = Must(store_->OpenTable(
          Must(store_->FreezeTable(context_, {1, "orders"}, schema, {attempt.text})).manifest,
          nullptr));
    }
    return order_table_;
  }
  /// All orders, in chunks, as left keys.
  std::vector<Column> OrderKeys() const {
    std::vector<Column> keys;
    for (int64_t begin = 0; begin < kOrders; begin += kChunk) {
      arrow::StringBuilder ids;
      for (int64_t i = begin; i < std::min(begin + kChunk, kOrders); ++i) {
        Must(ids.Append(orders_[static_cast<size_t>((i * 7919) % kOrders)]));
      }
      keys.push_back(Must(ids.Finish()));
    }
    return keys;
  }

  exec::Context context_;
  std::unique_ptr<TableStore> store_;

 private:
  std::string directory_;
  std::unique_ptr<exec::TaskPool> pool_;
  std::unique_ptr<exec::MemoryBudget> budget_;
  std::vector<std::string> orders_;
  std::vector<TableWriter::Batch> items_;
  std::shared_ptr<const Table> item_table_;
  std::shared_ptr<const Table> order_table_;
};

}  // namespace capi::store
