#include "capi/http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "capi/http/router.h"

namespace capi::http {
namespace {

using Clock = std::chrono::steady_clock;

/// A client that sends whatever it is told to.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    timeval limit{};
    limit.tv_sec = 20;
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  bool connected() const { return connected_; }
  /// False when the server has closed the connection.
  bool Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// All bytes until the server closes the connection.
  std::string ReadAll() {
    std::string text;
    while (ReadSome(&text)) {
    }
    return text;
  }
  /// One answer with a Content-Length; its head and body.
  std::string ReadAnswer() {
    std::string text = std::move(left_);
    left_.clear();
    size_t end = 0;
    while ((end = text.find("\r\n\r\n")) == std::string::npos) {
      if (!ReadSome(&text)) return text;
    }
    const size_t field = text.find("Content-Length: ");
    const size_t length = field < end ? std::stoul(text.substr(field + 16)) : 0;
    while (text.size() < end + 4 + length) {
      if (!ReadSome(&text)) return text;
    }
    left_ = text.substr(end + 4 + length);
    return text.substr(0, end + 4 + length);
  }

 private:
  bool ReadSome(std::string* text) {
    std::array<char, 65536> buffer;
    const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (count <= 0) return false;
    text->append(buffer.data(), static_cast<size_t>(count));
    return true;
  }

  const int socket_;
  bool connected_ = false;
  std::string left_;
};

std::unique_ptr<Server> Started(const ServerOptions& options, Handler handler) {
  Result<std::unique_ptr<Server>> server = Server::Start(options, std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status().ToString();
  return server.ok() ? *std::move(server) : nullptr;
}

Response Text(std::string body) {
  Response response;
  response.body = std::move(body);
  return response;
}

Response Echo(const Request& request) {
  return Text(request.method + " " + request.path + " ?" + request.query + " [" + request.body +
              "] " + std::string(request.Header("X-NAME")));
}

std::string Ask(uint16_t port, const std::string& text) {
  Client client(port);
  client.Send(text);
  return client.ReadAll();
}

std::string Get(uint16_t port, const std::string& path) {
  return Ask(port, "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
}

TEST(ServerTest, AnswersRequestsOfOneConnection) {
  const auto server = Started({}, Echo);
  Client client(server->port());
  client.Send("GET /a/b?c=d&e HTTP/1.1\r\nHost: h\r\nx-name: v\r\n\r\n");
  std::string answer = client.ReadAnswer();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /a/b ?c=d&e [] v")) << answer;
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
  answer = client.ReadAnswer();
  EXPECT_TRUE(answer.ends_with("POST / ? [hello] ")) << answer;
  client.Send(
      "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"
      "0\r\n\r\n");
  answer = client.ReadAnswer();
  EXPECT_TRUE(answer.ends_with("PUT / ? [abcde] ")) << answer;
}

TEST(ServerTest, AnswersPipelinedRequestsInOrder) {
  const auto server = Started({}, Echo);
  Client client(server->port());
  client.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(client.ReadAnswer().ends_with("GET /1 ? [] "));
  EXPECT_TRUE(client.ReadAnswer().ends_with("GET /2 ? [] "));
}

TEST(ServerTest, ClosesAfterTheAnswerWhenAskedTo) {
  const auto server = Started({}, Echo);
  EXPECT_TRUE(Get(server->port(), "/x").ends_with("GET /x ? [] "));
  const std::string old = Ask(server->port(), "GET /x HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.starts_with("HTTP/1.0 200 OK\r\n")) << old;
}

TEST(ServerTest, AnswersHeadWithoutTheBody) {
  const auto server = Started({}, Echo);
  const std::string answer =
      Ask(server->port(), "HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 13\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST(ServerTest, RefusesWhatIsNoRequest) {
  const auto server = Started({}, Echo);
  for (const std::string text :
       {"\r\n\r\nnonsense\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET no-path HTTP/1.1\r\n\r\n", "GET http://elsewhere/ HTTP/1.1\r\n\r\n"}) {
    const std::string answer = Ask(server->port(), text);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 Bad Request\r\n")) << text << answer;
  }
  EXPECT_TRUE(Ask(server->port(), "GET / HTTP/9.9\r\n\r\n").starts_with("HTTP/1.1 505 "));
  EXPECT_TRUE(Get(server->port(), "/x").starts_with("HTTP/1.1 200 "));
}

TEST(ServerTest, RefusesLongHeaders) {
  ServerOptions options;
  options.max_header_bytes = 1000;
  const auto server = Started(options, Echo);
  const std::string fits(500, 'a');
  const std::string too_long(5000, 'a');
  EXPECT_TRUE(Get(server->port(), "/" + fits).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(Get(server->port(), "/" + too_long).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(Ask(server->port(), "GET / HTTP/1.1\r\nX-Name: " + too_long + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  // A header without an end.
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 200; ++i) many += "X-" + std::to_string(i) + ": value\r\n";
  EXPECT_TRUE(Ask(server->port(), many).starts_with("HTTP/1.1 431 "));
}

TEST(ServerTest, RefusesLongBodies) {
  ServerOptions options;
  options.max_body_bytes = 1000;
  const auto server = Started(options, Echo);
  const auto post = [&](size_t size) {
    return Ask(server->port(), "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: " +
                                   std::to_string(size) + "\r\n\r\n" + std::string(size, 'b'));
  };
  EXPECT_TRUE(post(1000).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(post(1001).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(post(300000).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(Ask(server->port(), "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                                      std::string(2000, 'b') + "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
}

TEST(ServerTest, GivesUpClientsThatSendTooSlowly) {
  ServerOptions options;
  options.request_timeout_ms = 300;
  const auto server = Started(options, Echo);
  Client client(server->port());
  const auto begun = Clock::now();
  client.Send("GET / HTTP/1.1\r\n");
  // A byte now and then does not help.
  while (client.Send("X") && Clock::now() - begun < std::chrono::seconds(15)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(10));
  EXPECT_GE(Clock::now() - begun, std::chrono::milliseconds(300));
}

TEST(ServerTest, GivesUpIdleConnections) {
  ServerOptions options;
  options.idle_timeout_ms = 200;
  const auto server = Started(options, Echo);
  Client silent(server->port());
  EXPECT_EQ(silent.ReadAll(), "");
  Client client(server->port());
  client.Send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(client.ReadAnswer().starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(client.ReadAll(), "");
}

TEST(ServerTest, GivesUpClientsThatDoNotTakeTheirAnswer) {
  ServerOptions options;
  options.write_timeout_ms = 200;
  options.max_connections = 1;
  const auto server = Started(options, [](const Request& request) {
    return Text(std::string(request.path == "/large" ? size_t{64} << 20 : 2, 'x'));
  });
  Client client(server->port());
  client.Send("GET /large HTTP/1.1\r\n\r\n");
  // Served after the first one was given up.
  EXPECT_TRUE(Get(server->port(), "/small").ends_with("\r\n\r\nxx"));
}

TEST(ServerTest, SlowHandlersAndClientsHinderNobody) {
  ServerOptions options;
  options.handler_threads = 2;
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  const auto server = Started(options, [gone](const Request& request) {
    if (request.path == "/slow") gone.wait();
    return Text("done");
  });
  Client slow(server->port());
  slow.Send("GET /slow HTTP/1.1\r\n\r\n");
  std::vector<std::unique_ptr<Client>> halves;
  for (int i = 0; i < 20; ++i) {
    halves.push_back(std::make_unique<Client>(server->port()));
    halves.back()->Send("GET /half HTT");
  }
  EXPECT_TRUE(Get(server->port(), "/fast").ends_with("done"));
  go.set_value();
  EXPECT_TRUE(slow.ReadAnswer().ends_with("done"));
  for (const auto& half : halves) half->Send("P/1.1\r\n\r\n");
  for (const auto& half : halves) EXPECT_TRUE(half->ReadAnswer().ends_with("done"));
}

TEST(ServerTest, FurtherClientsWaitForAConnectionToEnd) {
  ServerOptions options;
  options.max_connections = 3;
  options.handler_threads = 8;
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  const auto server = Started(options, [&](const Request&) {
    const int count = ++now;
    int known = most.load();
    while (count > known && !most.compare_exchange_weak(known, count)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --now;
    return Text("done");
  });
  std::vector<std::future<std::string>> answers;
  answers.reserve(60);
  for (int i = 0; i < 60; ++i) {
    answers.push_back(std::async(std::launch::async, [&] { return Get(server->port(), "/"); }));
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ends_with("done"));
  EXPECT_LE(most.load(), 3);
}

TEST(ServerTest, AHandlerThatThrowsIsAnInternalError) {
  const auto server = Started({}, [](const Request& request) -> Response {
    if (request.path == "/throw") throw std::runtime_error("secret");
    return Text("done");
  });
  const std::string answer = Get(server->port(), "/throw");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ")) << answer;
  EXPECT_EQ(answer.find("secret"), std::string::npos);
  EXPECT_TRUE(Get(server->port(), "/").ends_with("done"));
}

TEST(ServerTest, StopsWhileARequestIsUnderWay) {
  std::promise<void> entered;
  auto server = Started({}, [&entered](const Request&) {
    entered.set_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return Text("done");
  });
  const uint16_t port = server->port();
  Client under_way(port);
  under_way.Send("GET / HTTP/1.1\r\n\r\n");
  entered.get_future().wait();
  Client idle(port);
  Client half(port);
  half.Send("GET / HT");
  std::thread stopper([&server] { server.reset(); });
  EXPECT_EQ(idle.ReadAll(), "");
  half.ReadAll();
  const std::string answer = under_way.ReadAll();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("done")) << answer;
  stopper.join();
  EXPECT_FALSE(Client(port).connected());
}

TEST(ServerTest, StopsWhileAClientDoesNotTakeItsAnswer) {
  std::promise<void> entered;
  auto server = Started({}, [&entered](const Request&) {
    entered.set_value();
    return Text(std::string(size_t{64} << 20, 'x'));
  });
  Client client(server->port());
  client.Send("GET / HTTP/1.1\r\n\r\n");
  entered.get_future().wait();
  const auto begun = Clock::now();
  server.reset();
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(8));  // the write time-out is ten
}

TEST(ServerTest, RefusesAddressesItCannotListenOn) {
  const auto server = Started({}, Echo);
  ServerOptions options;
  options.port = server->port();
  const Status used = Server::Start(options, Echo).status();
  EXPECT_EQ(KindOf(used), ErrorKind::kEnvironment) << used.ToString();
  EXPECT_NE(used.message().find(std::to_string(options.port)), std::string::npos);
  options.port = 0;
  options.address = "192.0.2.1";  // of nobody
  EXPECT_EQ(KindOf(Server::Start(options, Echo).status()), ErrorKind::kEnvironment);
  for (const char* address : {"", "localhost", "127.0.0.1:80", "1.2.3"}) {
    options.address = address;
    EXPECT_EQ(InfoOf(Server::Start(options, Echo).status()).error_class, "bad_listen_address");
  }
}

TEST(ServerTest, APortCanBeUsedAgainAtOnce) {
  auto server = Started({}, Echo);
  ServerOptions options;
  options.port = server->port();
  EXPECT_TRUE(Get(options.port, "/x").starts_with("HTTP/1.1 200 "));
  server.reset();
  server = Started(options, Echo);
  ASSERT_NE(server, nullptr);
  EXPECT_TRUE(Get(options.port, "/x").starts_with("HTTP/1.1 200 "));
}

TEST(RouterTest, ChoosesByPathAndMethod) {
  Router router;
  router.Add("GET", "/a", [](const Request&) { return Text("got"); });
  router.Add("POST", "/a", [](const Request&) { return Text("posted"); });
  Request request;
  request.path = "/a";
  request.method = "GET";
  EXPECT_EQ(router.Handle(request).body, "got");
  request.method = "HEAD";
  EXPECT_EQ(router.Handle(request).status, 200);
  request.method = "POST";
  EXPECT_EQ(router.Handle(request).body, "posted");
  request.method = "DELETE";
  const Response refused = router.Handle(request);
  EXPECT_EQ(refused.status, 405);
  ASSERT_EQ(refused.headers.size(), 1u);
  EXPECT_EQ(refused.headers[0].second, "GET, HEAD, POST");
  for (const char* path : {"/", "/a/", "/A", "/a/b", ""}) {
    request.path = path;
    EXPECT_EQ(router.Handle(request).status, 404) << path;
  }
}

}  // namespace
}  // namespace capi::http
