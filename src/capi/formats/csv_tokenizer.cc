#include <algorithm>

#include "capi/formats/csv_tokenizer_internal.h"

namespace capi::formats::internal {

namespace {

constexpr int64_t kChunkRows = 4096;
/// Distance of columns in the cell array. Not a power of two: columns would share cache sets.
constexpr int64_t kStride = kChunkRows + 24;
/// Bytes at both ends of the decoded text that kernels may read.
constexpr int64_t kPadding = 64;

}  // namespace

CsvTokenizer::CsvTokenizer(char separator, int64_t num_cells, std::vector<int64_t> wanted,
                           int64_t window_bytes)
    : separator_(separator),
      num_cells_(num_cells),
      num_wanted_(static_cast<int64_t>(wanted.size())),
      window_bytes_(window_bytes),
      wanted_(std::move(wanted)),
      structure_(window_bytes),
      cells_(new CellRef[static_cast<size_t>(kStride * num_wanted_)]),
      record_begins_(kChunkRows) {
  for (int64_t column = 0; column < num_wanted_; ++column) {
    const int64_t cell = wanted_[static_cast<size_t>(column)];
    by_cell_.push_back({cell, column});
    if (cell == num_cells_ - 1) {
      last_cell_columns_.push_back(column);
    }
  }
  std::stable_sort(by_cell_.begin(), by_cell_.end(),
                   [](const WantedCell& a, const WantedCell& b) { return a.cell < b.cell; });
}

void CsvTokenizer::Start(std::string_view text, int64_t begin) {
  text_ = text;
  block_begin_ = begin;
  end_ = static_cast<int64_t>(text.size());
  window_begin_ = begin;
  window_active_ = false;
  record_begin_ = 0;
  fault_ = Fault::kNone;
}

void CsvTokenizer::SetFault(Fault fault, int64_t offset) {
  fault_ = fault;
  fault_offset_ = offset;
}

bool CsvTokenizer::Next(CellChunk* chunk) {
  num_rows_ = 0;
  num_unclosed_ = 0;
  decoded_.assign(kPadding, '\0');
  int64_t text_bytes = 0;
  while (num_rows_ == 0 && fault_ == Fault::kNone) {
    if (!window_active_) {
      window_begin_ += record_begin_;
      record_begin_ = 0;
      window_size_ = std::min(window_bytes_, end_ - window_begin_);
      if (window_size_ <= 0) {
        return false;
      }
      structure_.Scan(text_.data() + window_begin_, window_size_, separator_);
      cursor_ = 0;
      window_active_ = true;
    }
    const int64_t consumed_before = record_begin_;
    if (structure_.has_quotes()) {
      TokenizeQuoted();
    } else {
      TokenizePlain();
    }
    text_bytes = record_begin_ - consumed_before;
    if (num_rows_ == kChunkRows) {
      break;
    }
    window_active_ = false;
    if (num_rows_ == 0 && fault_ == Fault::kNone && record_begin_ == 0) {
      // Not one whole line in the window.
      TokenizeLongRecord();
      text_bytes = record_begin_;
    }
  }
  chunk->base = text_.data() + window_begin_;
  chunk->readable_begin = text_.data() + block_begin_;
  chunk->readable_end = text_.data() + text_.size();
  chunk->num_rows = num_rows_;
  chunk->text_bytes = text_bytes;
  chunk->num_unclosed = num_unclosed_;
  chunk->cells = cells_.get();
  chunk->stride = kStride;
  chunk->record_begins = record_begins_.data();
  decoded_.append(kPadding, '\0');
  chunk->decoded = decoded_.data();
  return true;
}

void CsvTokenizer::TokenizePlain() {
  const char* const base = text_.data() + window_begin_;
  const uint32_t* const positions = structure_.positions();
  const uint32_t* const newlines = structure_.newlines();
  const int64_t num_newlines = structure_.num_newlines();
  const auto num_cells = static_cast<uint32_t>(num_cells_);
  CellRef* const cells = cells_.get();
  int64_t row = 0;
  int64_t newline = cursor_;
  uint32_t first = newline == 0 ? 0 : newlines[newline - 1] + 1;
  for (; newline < num_newlines && row < kChunkRows; ++newline) {
    const uint32_t last = newlines[newline];
    const uint32_t line_begin = positions[static_cast<int64_t>(first) - 1] + 1;
    const uint32_t line_end = positions[last];
    const bool has_cr = line_end > line_begin && base[line_end - 1] == '\r';
    const uint32_t found = last - first + 1;
    if (found == 1 && line_end - line_begin == (has_cr ? 1U : 0U)) {
      first = last + 1;
      continue;  // empty lines are no records
    }
    if (found != num_cells) {
      SetFault(Fault::kRagged, window_begin_ + line_begin);
      break;
    }
    const uint32_t* const ends = positions + first;
    for (int64_t column = 0; column < num_wanted_; ++column) {
      const int64_t cell = wanted_[static_cast<size_t>(column)];
      const uint32_t begin = ends[cell - 1] + 1;
      cells[column * kStride + row] = {begin, ends[cell] - begin};
    }
    if (has_cr) {
      for (const int64_t column : last_cell_columns_) {
        --cells[column * kStride + row].length_and_flag;
      }
    }
    record_begins_[static_cast<size_t>(row)] = line_begin;
    first = last + 1;
    ++row;
  }
  cursor_ = newline;
  num_rows_ = row;
  // Unsigned arithmetic: 0 when no line was consumed.
  record_begin_ = static_cast<uint32_t>(positions[static_cast<int64_t>(first) - 1] + 1);
}

void CsvTokenizer::TokenizeQuoted() {
  while (num_rows_ < kChunkRows && fault_ == Fault::kNone) {
    if (!TokenizeQuotedRecord()) {
      return;
    }
  }
}

/// Consumes one line (empty) or one record. False when it is not complete in the window.
bool CsvTokenizer::TokenizeQuotedRecord() {
  const char* const base = text_.data() + window_begin_;
  const uint32_t* const positions = structure_.positions();
  const int64_t num_positions = structure_.num_positions();
  int64_t cursor = cursor_;
  auto begin = static_cast<uint32_t>(record_begin_);  // of the cell
  if (cursor == num_positions) {
    return false;
  }
  const uint32_t first = positions[cursor];
  if (base[first] == '\n' && (first == begin || (first == begin + 1 && base[begin] == '\r'))) {
    record_begin_ = first + 1;
    cursor_ = cursor + 1;
    return true;
  }
  int64_t cell = 0;
  size_t next_wanted = 0;
  while (true) {
    if (cursor == num_positions) {
      return false;
    }
    CellRef ref;
    bool encoded = false;
    uint32_t end = positions[cursor];  // of the cell, closing quote included
    if (end == begin && base[begin] == '"') {
      ++cursor;
      while (true) {
        if (cursor == num_positions) {
          return false;
        }
        const uint32_t position = positions[cursor++];
        if (base[position] != '"') {
          encoded |= base[position] == '\n' && base[position - 1] == '\r';
          continue;
        }
        if (static_cast<int64_t>(position) + 1 >= window_size_) {
          return false;  // what follows decides, and it is not here
        }
        const char next = base[position + 1];
        if (next == '\r' && static_cast<int64_t>(position) + 2 >= window_size_) {
          return false;
        }
        if (next == separator_ || next == '\n' || (next == '\r' && base[position + 2] == '\n')) {
          end = position + 1;
          break;
        }
        if (next == '"') {
          encoded = true;
          ++cursor;
        }
      }
      ref = {begin + 1, end - begin - 2};
      // `end` is a separator or a line end; a CR is not among the positions.
    } else {
      while (base[end] == '"') {
        if (++cursor == num_positions) {
          return false;
        }
        end = positions[cursor];
      }
      ref = {begin, end - begin};
      if (base[end] == '\n' && end > begin && base[end - 1] == '\r') {
        --ref.length_and_flag;
      }
    }
    if (cell < num_cells_) {
      Store(&next_wanted, cell, ref, encoded);
    }
    ++cell;
    const uint32_t delimiter = positions[cursor++];
    begin = delimiter + 1;
    if (base[delimiter] == '\n') {
      break;
    }
  }
  if (cell != num_cells_) {
    SetFault(Fault::kRagged, window_begin_ + record_begin_);
    return false;
  }
  record_begins_[static_cast<size_t>(num_rows_++)] = static_cast<uint32_t>(record_begin_);
  record_begin_ = begin;
  cursor_ = cursor;
  return true;
}

void CsvTokenizer::TokenizeLongRecord() {
  RawRecord record;
  if (!NextRecord(text_, separator_, window_begin_, &record) || record.begin >= end_) {
    record_begin_ = end_ - window_begin_;
    return;
  }
  if (record.end - record.begin > kMaxRecordBytes) {
    SetFault(Fault::kTooLong, record.begin);
    return;
  }
  if (static_cast<int64_t>(record.cells.size()) != num_cells_) {
    SetFault(Fault::kRagged, record.begin);
    return;
  }
  window_begin_ = record.begin;
  size_t next_wanted = 0;
  for (int64_t i = 0; i < num_cells_; ++i) {
    const RawCell& cell = record.cells[static_cast<size_t>(i)];
    const CellRef ref{static_cast<uint32_t>(cell.content_begin - record.begin),
                      static_cast<uint32_t>(cell.content_end - cell.content_begin)};
    Store(&next_wanted, i, ref, cell.encoded);
    num_unclosed_ += cell.unclosed ? 1 : 0;
  }
  record_begins_[0] = 0;
  num_rows_ = 1;
  record_begin_ = record.end - record.begin;
}

void CsvTokenizer::StoreDecoded(std::string_view content, CellRef* cell) {
  const size_t offset = decoded_.size();
  AppendDecoded(content, &decoded_);
  *cell = {static_cast<uint32_t>(offset),
           static_cast<uint32_t>(decoded_.size() - offset) | CellRef::kDecoded};
}

void CsvTokenizer::Store(size_t* next_wanted, int64_t cell, CellRef ref, bool encoded) {
  if (*next_wanted == by_cell_.size() || by_cell_[*next_wanted].cell != cell) {
    return;
  }
  if (encoded) {
    const char* const base = text_.data() + window_begin_;
    StoreDecoded({base + ref.offset, ref.length()}, &ref);
  }
  while (*next_wanted < by_cell_.size() && by_cell_[*next_wanted].cell == cell) {
    const int64_t column = by_cell_[*next_wanted].column;
    cells_[static_cast<size_t>(column * kStride + num_rows_)] = ref;
    ++*next_wanted;
  }
}

}  // namespace capi::formats::internal
