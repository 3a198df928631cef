#include <array>
#include <charconv>
#include <exception>
#include <nlohmann/json.hpp>

#include "capi/store/segment/format_internal.h"
#include "capi/store/segment/manifest_internal.h"

namespace capi::store {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kHexDigits = 16;

uint64_t ParseHex(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != kHexDigits) {
    throw std::invalid_argument("not a hexadecimal id: " + text);
  }
  return value;
}

Json TableJson(const TableId& id) { return {{"run", id.run_id}, {"table", id.name}}; }

TableId TableOf(const Json& json) {
  return {json.at("run").get<int64_t>(), json.at("table").get<std::string>()};
}

Manifest FromJson(const Json& json) {
  if (json.at("version").get<uint32_t>() != kFormatVersion) {
    throw std::invalid_argument("version " + json.at("version").dump());
  }
  Manifest manifest;
  const auto kind = json.at("kind").get<std::string>();
  if (kind != "attempt" && kind != "table") throw std::invalid_argument("kind " + kind);
  manifest.kind = kind == "table" ? Manifest::Kind::kTable : Manifest::Kind::kAttempt;
  manifest.table = TableOf(json);
  manifest.batch = json.value("batch", int64_t{0});
  manifest.rows = json.at("rows").get<int64_t>();
  if (json.contains("file")) {
    manifest.file = ParseHex(json.at("file").get<std::string>());
    manifest.offset = json.value("offset", int64_t{0});
    manifest.length = json.at("length").get<int64_t>();
    manifest.directory = json.at("directory").get<int64_t>();
    manifest.checksum = ParseHex(json.at("checksum").get<std::string>());
    if (json.contains("owner")) {
      manifest.owner = static_cast<int64_t>(ParseHex(json.at("owner").get<std::string>()));
      manifest.piece_bytes = json.at("piece").get<int32_t>();
      if (manifest.owner == 0 || !IsPieceSize(manifest.piece_bytes)) {
        throw std::invalid_argument("owner");
      }
    }
    if (manifest.file == 0 || manifest.offset < 0 || manifest.offset % kAlignment != 0 ||
        manifest.directory < 0 || manifest.directory % kAlignment != 0 ||
        manifest.length <= manifest.directory) {
      throw std::invalid_argument("positions");
    }
  } else if (kind == "table" || manifest.rows != 0) {
    throw std::invalid_argument("no file");
  }
  if (json.contains("references")) {
    for (const Json& reference : json.at("references")) {
      manifest.references.push_back(TableOf(reference));
    }
  }
  return manifest;
}

}  // namespace

std::string HexId(uint64_t id) {
  std::array<char, kHexDigits> digits;
  for (int i = kHexDigits - 1; i >= 0; --i) {
    digits[static_cast<size_t>(i)] = "0123456789abcdef"[id & 15];
    id >>= 4;
  }
  return {digits.data(), digits.size()};
}

std::string Manifest::ToText() const {
  Json json;
  json["version"] = kFormatVersion;
  json["kind"] = kind == Kind::kTable ? "table" : "attempt";
  json["run"] = table.run_id;
  json["table"] = table.name;
  if (kind == Kind::kAttempt) json["batch"] = batch;
  json["rows"] = rows;
  if (file != 0) {
    json["file"] = HexId(file);
    if (owner != 0) {
      json["owner"] = HexId(static_cast<uint64_t>(owner));
      json["piece"] = piece_bytes;
    }
    if (kind == Kind::kAttempt) json["offset"] = offset;
    json["length"] = length;
    json["directory"] = directory;
    json["checksum"] = HexId(checksum);
  }
  if (!references.empty()) {
    Json list = Json::array();
    for (const TableId& id : references) list.push_back(TableJson(id));
    json["references"] = std::move(list);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Manifest> Manifest::Parse(const std::string& text) {
  try {
    return FromJson(Json::parse(text));
  } catch (const std::exception& error) {
    return EnvironmentError("table manifest cannot be read: " + std::string(error.what()));
  }
}

}  // namespace capi::store
