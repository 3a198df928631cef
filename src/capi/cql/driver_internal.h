#pragma once

// The C interface of driver/, a Rust library around the crate `scylla`. Included by this room only.
//
// Functions with a callback return at once (capi_cql_connect: when it is connected) and call `done`
// exactly once, from a thread of the driver, which must not be held up. What a reply points to ends
// with the callback, except page and statement. Memory that a request points to must live until its
// callback is called. A driver is thread-safe and is closed after its last callback, not from one.

#include <cstddef>
#include <cstdint>

extern "C" {

struct CapiCqlDriver;
struct CapiCqlStatement;
struct CapiCqlPage;

struct CapiCqlText {
  const char* data;
  size_t size;
};

struct CapiCqlConfig {
  const CapiCqlText* hosts;  // host:port
  size_t num_hosts;
  CapiCqlText username;
  CapiCqlText password;
  CapiCqlText certificate_path;
  CapiCqlText key_path;
  CapiCqlText ca_path;
  int64_t timeout_ms;
  int64_t connect_timeout_ms;
  int64_t connections_per_host;
  int64_t threads;
  int32_t consistency;  // the protocol's number
  bool authenticate;
  bool only_contact_points;
  bool use_tls;
  bool verify_host;
};

enum CapiCqlCode : int32_t {
  kCqlOk = 0,
  kCqlInvalid = 1,
  kCqlUnauthorized = 2,
  kCqlAlreadyExists = 3,
  kCqlUnavailable = 4,  // nothing was done
  kCqlOverloaded = 5,   // nothing was done
  kCqlTimedOut = 6,     // may have been done
  kCqlBroken = 7,       // may have been done
  kCqlBadConfiguration = 8,
};

struct CapiCqlReply {
  int32_t code;         // CapiCqlCode
  CapiCqlText message;  // of an error
  const CapiCqlText* columns;
  size_t num_columns;
  int64_t num_rows;
  CapiCqlText cells;            // as Rows::Page::cells, belongs to `page`
  CapiCqlText paging_state;     // "": the last page
  CapiCqlPage* page;            // null: no rows; the receiver frees it
  CapiCqlStatement* statement;  // of capi_cql_prepare; the receiver frees it
};

using CapiCqlDone = void (*)(void* context, const CapiCqlReply* reply);

struct CapiCqlRequest {
  const CapiCqlStatement* const* statements;  // several: a batch
  const CapiCqlText* values;                  // of each statement, as Values::bytes()
  size_t num_statements;
  int32_t consistency;         // the protocol's number, -1 = the session's
  int32_t serial_consistency;  // SERIAL or LOCAL_SERIAL
  int32_t page_rows;
  CapiCqlText paging_state;
  int64_t delay_ms;  // pause before it is sent
};

/// Null, and a reply with the error, if it fails.
CapiCqlDriver* capi_cql_connect(const CapiCqlConfig* config, void* context, CapiCqlDone done);
void capi_cql_close(CapiCqlDriver* driver);
/// Ends what is under way, and what is begun later at once, with kCqlTimedOut.
void capi_cql_give_up(const CapiCqlDriver* driver);
void capi_cql_prepare(const CapiCqlDriver* driver, CapiCqlText cql, bool idempotent,
                      int64_t delay_ms, void* context, CapiCqlDone done);
void capi_cql_statement_free(CapiCqlStatement* statement);
void capi_cql_page_free(CapiCqlPage* page);
void capi_cql_execute(const CapiCqlDriver* driver, const CapiCqlRequest* request, void* context,
                      CapiCqlDone done);
/// Not prepared; waits until the nodes agree on the schema.
void capi_cql_schema(const CapiCqlDriver* driver, CapiCqlText cql, int64_t timeout_ms,
                     int64_t delay_ms, void* context, CapiCqlDone done);

}  // extern "C"
