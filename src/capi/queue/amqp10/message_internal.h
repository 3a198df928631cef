#pragma once

// Bodies in messages of AMQP 1.0.

#include <optional>
#include <string>
#include <string_view>

namespace capi::queue {

/// A durable message with the body in one data section.
std::string EncodeAmqp10Message(std::string_view body);

struct Amqp10Content {
  std::string body;
  bool redelivered = false;
};
/// nullopt: it is no message with a body of one data section, binary or text.
std::optional<Amqp10Content> DecodeAmqp10Message(std::string_view encoded);

}  // namespace capi::queue
