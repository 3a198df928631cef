#include <proton/codec.h>
#include <proton/message.h>

#include <memory>

#include "capi/queue/amqp10/message_internal.h"

namespace capi::queue {

namespace {

using MessagePtr = std::unique_ptr<pn_message_t, decltype(&pn_message_free)>;

MessagePtr NewMessage() { return {pn_message(), &pn_message_free}; }

}  // namespace

std::string EncodeAmqp10Message(std::string_view body) {
  const MessagePtr message = NewMessage();
  pn_message_set_durable(message.get(), true);
  pn_message_set_inferred(message.get(), true);
  pn_message_set_content_type(message.get(), "text/plain");
  pn_data_put_binary(pn_message_body(message.get()), pn_bytes(body.size(), body.data()));
  std::string encoded(body.size() + 128, '\0');
  size_t size = encoded.size();
  while (pn_message_encode(message.get(), encoded.data(), &size) == PN_OVERFLOW) {
    encoded.resize(encoded.size() * 2);
    size = encoded.size();
  }
  encoded.resize(size);
  return encoded;
}

std::optional<Amqp10Content> DecodeAmqp10Message(std::string_view encoded) {
  // Proton would end the program.
  if (encoded.empty()) return std::nullopt;
  const MessagePtr message = NewMessage();
  if (pn_message_decode(message.get(), encoded.data(), encoded.size()) != 0) return std::nullopt;
  pn_data_t* const body = pn_message_body(message.get());
  pn_data_rewind(body);
  if (!pn_data_next(body)) return std::nullopt;
  pn_bytes_t bytes = {};
  switch (pn_data_type(body)) {
    case PN_BINARY:
      bytes = pn_data_get_binary(body);
      break;
    case PN_STRING:
      bytes = pn_data_get_string(body);
      break;
    default:
      return std::nullopt;
  }
  return Amqp10Content{std::string(bytes.start, bytes.size),
                       pn_message_get_delivery_count(message.get()) > 0};
}

}  // namespace capi::queue
