#include <cstring>

#include "capi/formats/parquet_footer_internal.h"

namespace capi::formats::internal {

namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr int64_t kLengthBytes = 4;

/// Types of the compact protocol.
enum WireType : uint8_t {
  kStop = 0,
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kMap = 11,
  kStruct = 12,
};

Status Damaged() { return BugError("the footer of an encoded row group cannot be read"); }

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1U) ^ static_cast<uint64_t>(value >> 63U);
}
int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1U) ^ (~(value & 1U) + 1));
}

void AppendVarint(uint64_t value, std::string* out) {
  constexpr uint64_t kMore = 0x80;
  for (; value >= kMore; value >>= 7U) out->push_back(static_cast<char>(value | kMore));
  out->push_back(static_cast<char>(value));
}

struct FieldHeader {
  int id = 0;
  uint8_t type = kStop;
};

struct ListHeader {
  uint64_t size = 0;
  uint8_t type = kStop;
};

/// Goes through a structure. Every Read or Skip moves behind what it has read.
class CompactReader {
 public:
  explicit CompactReader(std::string_view bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  std::string_view Since(size_t from) const { return bytes_.substr(from, position_ - from); }

  Result<uint8_t> Byte() {
    if (position_ >= bytes_.size()) return Damaged();
    return static_cast<uint8_t>(bytes_[position_++]);
  }
  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      CAPI_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
      value |= uint64_t{byte & 0x7FU} << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    return Damaged();
  }
  /// `id` of the field before, 0 at the begin of a structure.
  Result<FieldHeader> Field(int previous_id) {
    CAPI_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
    FieldHeader field;
    field.type = byte & 0xFU;
    if (field.type == kStop) return field;
    const int delta = byte >> 4U;
    if (delta != 0) {
      field.id = previous_id + delta;
      return field;
    }
    CAPI_ASSIGN_OR_RETURN(const uint64_t id, Varint());
    field.id = static_cast<int>(UnZigZag(id));
    return field;
  }
  Result<ListHeader> List() {
    constexpr uint8_t kLongSize = 15;
    CAPI_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
    ListHeader list;
    list.type = byte & 0xFU;
    list.size = byte >> 4U;
    if (list.size == kLongSize) {
      CAPI_ASSIGN_OR_RETURN(list.size, Varint());
    }
    return list;
  }

  Status Skip(uint8_t type) {
    switch (type) {
      case kTrue:
      case kFalse:
        return Status::OK();
      case kByte:
        return Byte().status();
      case kI16:
      case kI32:
      case kI64:
        return Varint().status();
      case kDouble:
        return Advance(sizeof(double));
      case kBinary: {
        CAPI_ASSIGN_OR_RETURN(const uint64_t size, Varint());
        return Advance(size);
      }
      case kList:
      case kSet:
        return SkipList();
      case kMap:
        return SkipMap();
      case kStruct:
        return SkipStruct();
      default:
        return Damaged();
    }
  }

 private:
  Status Advance(uint64_t size) {
    if (size > bytes_.size() - position_) return Damaged();
    position_ += size;
    return Status::OK();
  }
  /// In lists and maps a bool is a byte.
  Status SkipElement(uint8_t type) {
    return type == kTrue || type == kFalse ? Byte().status() : Skip(type);
  }
  Status SkipList() {
    CAPI_ASSIGN_OR_RETURN(const ListHeader list, List());
    for (uint64_t i = 0; i < list.size; ++i) CAPI_RETURN_NOT_OK(SkipElement(list.type));
    return Status::OK();
  }
  Status SkipMap() {
    CAPI_ASSIGN_OR_RETURN(const uint64_t size, Varint());
    if (size == 0) return Status::OK();
    CAPI_ASSIGN_OR_RETURN(const uint8_t types, Byte());
    for (uint64_t i = 0; i < size; ++i) {
      CAPI_RETURN_NOT_OK(SkipElement(types >> 4U));
      CAPI_RETURN_NOT_OK(SkipElement(types & 0xFU));
    }
    return Status::OK();
  }
  Status SkipStruct() {
    int id = 0;
    while (true) {
      CAPI_ASSIGN_OR_RETURN(const FieldHeader field, Field(id));
      if (field.type == kStop) return Status::OK();
      id = field.id;
      CAPI_RETURN_NOT_OK(Skip(field.type));
    }
  }

  const std::string_view bytes_;
  size_t position_ = 0;
};

/// Copies structures of one kind into another and moves offsets.
class Mover {
 public:
  Mover(std::string_view entry, int64_t shift) : reader_(entry), shift_(shift) {}

  Result<std::string> Move() {
    CAPI_RETURN_NOT_OK(CopyRowGroup());
    return std::move(out_);
  }

 private:
  Status CopyRowGroup() {
    constexpr int kColumns = 1;
    constexpr int kFileOffset = 5;
    constexpr int kOrdinal = 7;
    return CopyStruct([this](const FieldHeader& field, size_t begin) -> Status {
      switch (field.id) {
        case kColumns:
          CopyBytes(begin);
          return CopyColumns();
        case kFileOffset:
          return CopyMoved(begin);
        case kOrdinal:
          // Optional, and the last field: it would be 0 for all of them.
          return reader_.Skip(field.type);
        default:
          return CopyField(field, begin);
      }
    });
  }

  Status CopyColumns() {
    const size_t begin = reader_.position();
    CAPI_ASSIGN_OR_RETURN(const ListHeader list, reader_.List());
    if (list.type != kStruct) return Damaged();
    CopyBytes(begin);
    for (uint64_t i = 0; i < list.size; ++i) CAPI_RETURN_NOT_OK(CopyColumnChunk());
    return Status::OK();
  }

  Status CopyColumnChunk() {
    constexpr int kFileOffset = 2;
    constexpr int kMetaData = 3;
    constexpr int kOffsetIndexOffset = 4;
    constexpr int kColumnIndexOffset = 6;
    return CopyStruct([this](const FieldHeader& field, size_t begin) -> Status {
      switch (field.id) {
        case kFileOffset:
        case kOffsetIndexOffset:
        case kColumnIndexOffset:
          return CopyMoved(begin);
        case kMetaData:
          CopyBytes(begin);
          return CopyColumnMetaData();
        default:
          return CopyField(field, begin);
      }
    });
  }

  Status CopyColumnMetaData() {
    constexpr int kDataPageOffset = 9;
    constexpr int kIndexPageOffset = 10;
    constexpr int kDictionaryPageOffset = 11;
    constexpr int kBloomFilterOffset = 14;
    return CopyStruct([this](const FieldHeader& field, size_t begin) -> Status {
      switch (field.id) {
        case kDataPageOffset:
        case kIndexPageOffset:
        case kDictionaryPageOffset:
        case kBloomFilterOffset:
          return CopyMoved(begin);
        default:
          return CopyField(field, begin);
      }
    });
  }

  /// copy(field, begin of its header) goes behind the field.
  template <typename Copy>
  Status CopyStruct(const Copy& copy) {
    int id = 0;
    while (true) {
      const size_t begin = reader_.position();
      CAPI_ASSIGN_OR_RETURN(const FieldHeader field, reader_.Field(id));
      if (field.type == kStop) {
        CopyBytes(begin);
        return Status::OK();
      }
      id = field.id;
      CAPI_RETURN_NOT_OK(copy(field, begin));
    }
  }

  void CopyBytes(size_t begin) { out_.append(reader_.Since(begin)); }

  Status CopyField(const FieldHeader& field, size_t begin) {
    CAPI_RETURN_NOT_OK(reader_.Skip(field.type));
    CopyBytes(begin);
    return Status::OK();
  }

  /// An offset; 0 means that there is none.
  Status CopyMoved(size_t begin) {
    CopyBytes(begin);
    CAPI_ASSIGN_OR_RETURN(const uint64_t offset, reader_.Varint());
    const int64_t value = UnZigZag(offset);
    AppendVarint(ZigZag(value == 0 ? 0 : value + shift_), &out_);
    return Status::OK();
  }

  CompactReader reader_;
  const int64_t shift_;
  std::string out_;
};

/// The serialized FileMetaData of a whole file.
Result<std::string_view> FooterOf(std::string_view file) {
  const auto tail = static_cast<size_t>(kLengthBytes + kParquetMagicBytes);
  if (file.size() < tail + kMagic.size() || file.substr(0, kMagic.size()) != kMagic ||
      file.substr(file.size() - kMagic.size()) != kMagic) {
    return Damaged();
  }
  uint32_t length = 0;
  std::memcpy(&length, file.data() + file.size() - tail, sizeof(length));
  if (length > file.size() - tail - kMagic.size()) return Damaged();
  return file.substr(file.size() - tail - length, length);
}

constexpr int kNumRows = 3;
constexpr int kRowGroups = 4;

}  // namespace

Result<EncodedRowGroup> CutRowGroup(std::string_view file, int64_t rows) {
  CAPI_ASSIGN_OR_RETURN(const std::string_view footer, FooterOf(file));
  CompactReader reader(footer);
  EncodedRowGroup group;
  group.rows = rows;
  group.bytes =
      file.substr(kMagic.size(), static_cast<size_t>(footer.data() - file.data()) - kMagic.size());
  for (int id = 0;;) {
    CAPI_ASSIGN_OR_RETURN(const FieldHeader field, reader.Field(id));
    if (field.type == kStop) return Damaged();
    id = field.id;
    if (id != kRowGroups) {
      CAPI_RETURN_NOT_OK(reader.Skip(field.type));
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(const ListHeader list, reader.List());
    if (list.size != 1 || list.type != kStruct) return Damaged();
    const size_t begin = reader.position();
    CAPI_RETURN_NOT_OK(reader.Skip(kStruct));
    group.entry = reader.Since(begin);
    return group;
  }
}

Result<std::string> MoveRowGroup(std::string_view entry, int64_t shift) {
  return Mover(entry, shift).Move();
}

Result<std::string> MakeFileEnd(std::string_view empty_file, int64_t num_rows,
                                const std::vector<std::string>& entries) {
  CAPI_ASSIGN_OR_RETURN(const std::string_view footer, FooterOf(empty_file));
  CompactReader reader(footer);
  std::string end;
  for (int id = 0;;) {
    const size_t begin = reader.position();
    CAPI_ASSIGN_OR_RETURN(const FieldHeader field, reader.Field(id));
    id = field.id;
    const std::string_view header = reader.Since(begin);
    if (field.type == kStop) {
      end.append(header);
      break;
    }
    const size_t value_begin = reader.position();
    CAPI_RETURN_NOT_OK(reader.Skip(field.type));
    end.append(header);
    if (id == kNumRows) {
      AppendVarint(ZigZag(num_rows), &end);
    } else if (id == kRowGroups) {
      constexpr size_t kShortSizes = 15;
      if (entries.size() < kShortSizes) {
        end.push_back(static_cast<char>(entries.size() << 4U | kStruct));
      } else {
        end.push_back(static_cast<char>(kShortSizes << 4U | kStruct));
        AppendVarint(entries.size(), &end);
      }
      for (const std::string& entry : entries) end.append(entry);
    } else {
      end.append(reader.Since(value_begin));
    }
  }
  const auto length = static_cast<uint32_t>(end.size());
  end.append(reinterpret_cast<const char*>(&length), sizeof(length));
  end.append(kMagic);
  return end;
}

}  // namespace capi::formats::internal
