#include <immintrin.h>

#include <bit>
#include <cstdlib>
#include <cstring>

#include "capi/formats/csv_structure_internal.h"

namespace capi::formats::internal {

namespace {

constexpr int64_t kGroupBytes = 64;

struct GroupMasks {
  uint64_t separators;
  uint64_t newlines;
  uint64_t quotes;
};

struct Output {
  uint32_t* positions;
  uint32_t* newlines;
  int64_t num_positions = 0;
  int64_t num_newlines = 0;
  uint64_t any_quote = 0;
};

/// Appends the set bits of one group. Writes up to kGroupBytes entries beyond the ends.
inline __attribute__((always_inline)) void AppendGroup(const GroupMasks& masks, uint32_t base,
                                                       Output* out) {
  uint64_t all = masks.separators | masks.newlines | masks.quotes;
  out->any_quote |= masks.quotes;
  const auto first_ordinal = static_cast<uint32_t>(out->num_positions);

  // Most groups hold at most one line feed: write one entry without a branch.
  uint64_t newlines = masks.newlines;
  const uint64_t below_first = (newlines & (0 - newlines)) - 1;
  out->newlines[out->num_newlines] =
      first_ordinal + static_cast<uint32_t>(std::popcount(all & below_first));
  out->num_newlines += newlines != 0 ? 1 : 0;
  newlines &= newlines - 1;
  while (newlines != 0) {
    const uint64_t below = (newlines & (0 - newlines)) - 1;
    out->newlines[out->num_newlines++] =
        first_ordinal + static_cast<uint32_t>(std::popcount(all & below));
    newlines &= newlines - 1;
  }

  const int count = std::popcount(all);
  uint32_t* positions = out->positions + out->num_positions;
  for (int i = 0; i < 8; ++i) {
    positions[i] = base + static_cast<uint32_t>(std::countr_zero(all));
    all &= all - 1;
  }
  for (int i = 8; i < count; ++i) {
    positions[i] = base + static_cast<uint32_t>(std::countr_zero(all));
    all &= all - 1;
  }
  out->num_positions += count;
}

inline GroupMasks MasksBaseline(const char* text, char separator) {
  const __m128i separators = _mm_set1_epi8(separator);
  const __m128i newlines = _mm_set1_epi8('\n');
  const __m128i quotes = _mm_set1_epi8('"');
  GroupMasks masks{0, 0, 0};
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 16 * i));
    const auto mask_of = [&bytes](__m128i wanted) {
      return static_cast<uint64_t>(
          static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted))));
    };
    masks.separators |= mask_of(separators) << (16 * i);
    masks.newlines |= mask_of(newlines) << (16 * i);
    masks.quotes |= mask_of(quotes) << (16 * i);
  }
  return masks;
}

void ScanGroupsBaseline(const char* text, int64_t num_groups, uint32_t base, char separator,
                        Output* out) {
  for (int64_t group = 0; group < num_groups; ++group) {
    AppendGroup(MasksBaseline(text + kGroupBytes * group, separator),
                base + static_cast<uint32_t>(kGroupBytes * group), out);
  }
}

__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))) void ScanGroupsAvx2(
    const char* text, int64_t num_groups, uint32_t base, char separator, Output* out) {
  const __m256i separators = _mm256_set1_epi8(separator);
  const __m256i newlines = _mm256_set1_epi8('\n');
  const __m256i quotes = _mm256_set1_epi8('"');
  Output local = *out;
  for (int64_t group = 0; group < num_groups; ++group) {
    const auto* from = reinterpret_cast<const __m256i*>(text + kGroupBytes * group);
    const __m256i low = _mm256_loadu_si256(from);
    const __m256i high = _mm256_loadu_si256(from + 1);
    const auto mask = [](__m256i a, __m256i b) __attribute__((target("avx2"))) {
      return static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(a))) |
             static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(b))) << 32;
    };
    const GroupMasks masks{
        mask(_mm256_cmpeq_epi8(low, separators), _mm256_cmpeq_epi8(high, separators)),
        mask(_mm256_cmpeq_epi8(low, newlines), _mm256_cmpeq_epi8(high, newlines)),
        mask(_mm256_cmpeq_epi8(low, quotes), _mm256_cmpeq_epi8(high, quotes))};
    AppendGroup(masks, base + static_cast<uint32_t>(kGroupBytes * group), &local);
  }
  *out = local;
}

using ScanGroups = void (*)(const char*, int64_t, uint32_t, char, Output*);

ScanGroups ChooseScanGroups() {
  const bool wide = WideSimdAllowed() && __builtin_cpu_supports("avx2") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  return wide ? ScanGroupsAvx2 : ScanGroupsBaseline;
}

}  // namespace

bool WideSimdAllowed() {
  static const bool allowed = [] {
    const char* choice = std::getenv("CAPI_SIMD");
    return choice == nullptr || std::strcmp(choice, "baseline") != 0;
  }();
  return allowed;
}

CsvStructure::CsvStructure(int64_t max_bytes)
    // The last group may write a whole group beyond the entries that count; new[] without an
    // initializer leaves pages untouched until they are needed.
    : positions_(new uint32_t[static_cast<size_t>(max_bytes + 2 * kGroupBytes)]),
      newlines_(new uint32_t[static_cast<size_t>(max_bytes + 2 * kGroupBytes)]) {
  positions_[0] = UINT32_MAX;
}

void CsvStructure::Scan(const char* text, int64_t size, char separator) {
  static const ScanGroups scan_groups = ChooseScanGroups();
  Output out{positions_.get() + 1, newlines_.get()};
  const int64_t num_groups = size / kGroupBytes;
  scan_groups(text, num_groups, 0, separator, &out);
  const int64_t rest = size - num_groups * kGroupBytes;
  if (rest > 0) {
    // The text may end at the last byte of a mapped page, so the tail is copied, never over-read.
    char tail[kGroupBytes] = {};
    std::memcpy(tail, text + num_groups * kGroupBytes, static_cast<size_t>(rest));
    GroupMasks masks = MasksBaseline(tail, separator);
    const uint64_t inside = (uint64_t{1} << rest) - 1;
    masks.separators &= inside;
    masks.newlines &= inside;
    masks.quotes &= inside;
    AppendGroup(masks, static_cast<uint32_t>(num_groups * kGroupBytes), &out);
  }
  num_positions_ = out.num_positions;
  num_newlines_ = out.num_newlines;
  has_quotes_ = out.any_quote != 0;
}

}  // namespace capi::formats::internal
