// http inputs against a server in this process that answers as each test wants.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/status.h"
#include "capi/base/test_directory.h"
#include "capi/files/files.h"
#include "capi/files/sha256.h"

namespace capi::files {
namespace {

/// What a test answers: the raw answer to the raw head of a request. The connection is closed after
/// it, so that a body shorter than its Content-Length looks cut.
using Answer = std::function<std::string(const std::string& request)>;

class Server {
 public:
  explicit Server(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);  // all of 127.0.0.0/8
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    listen(listener_, 16);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    stopped_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string Url(const std::string& path = "/a.csv", const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_) + path;
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  /// Requests with this text in their head.
  int Count(const std::string& text) {
    int count = 0;
    for (const std::string& request : requests()) count += request.find(text) != std::string::npos;
    return count;
  }

 private:
  void Serve() {
    while (!stopped_) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = read(connection, buffer, sizeof(buffer));
        if (n <= 0) break;
        request.append(buffer, static_cast<size_t>(n));
      }
      std::string answer;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      answer = answer_(request);
      size_t sent = 0;
      while (sent < answer.size()) {
        const ssize_t n =
            send(connection, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<size_t>(n);
      }
      shutdown(connection, SHUT_WR);
      while (read(connection, buffer, sizeof(buffer)) > 0) {
      }
      close(connection);
    }
  }

  const Answer answer_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

std::string Head(const std::string& status, const std::string& headers) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers + "\r\n";
}

bool IsHead(const std::string& request) { return request.starts_with("HEAD "); }

int64_t RangeBegin(const std::string& request) {
  const size_t at = request.find("Range: bytes=");
  return at == std::string::npos ? -1 : std::stoll(request.substr(at + 13));
}

/// Serves `content` with ranges; the first `cuts` bodies break off after `cut_bytes`.
class Content {
 public:
  explicit Content(std::string text, int cuts = 0, size_t cut_bytes = 0)
      : text_(std::move(text)), cuts_(cuts), cut_bytes_(cut_bytes) {}
  std::string etag = "\"v1\"";
  bool ranges = true;

  std::string operator()(const std::string& request) {
    const int64_t begin = ranges ? RangeBegin(request) : -1;
    std::string body = begin < 0 ? text_ : text_.substr(static_cast<size_t>(begin));
    std::string headers =
        "ETag: " + etag + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    if (begin >= 0) {
      headers += "Content-Range: bytes " + std::to_string(begin) + "-" +
                 std::to_string(text_.size() - 1) + "/" + std::to_string(text_.size()) + "\r\n";
    }
    if (IsHead(request)) {
      body.clear();
    } else if (cuts_-- > 0) {
      body = body.substr(0, cut_bytes_);
    }
    return Head(begin < 0 ? "200 OK" : "206 Partial Content", headers) + body;
  }

 private:
  const std::string text_;
  int cuts_;
  const size_t cut_bytes_;
};

FilesOptions FastOptions() {
  FilesOptions options;
  options.first_retry_ms = 1;
  options.idle_timeout_ms = 2000;
  options.connect_timeout_ms = 2000;
  return options;
}

class HttpTest : public testing::Test {
 protected:
  void Use(const FilesOptions& options) {
    files_ = Files::Make(Env::Default(), options).ValueOrDie();
  }
  Result<std::string> ReadText(const std::string& url, InputRecord* record = nullptr) {
    CAPI_ASSIGN_OR_RETURN(const Fingerprint fingerprint, files_->FingerprintOf(url));
    CAPI_ASSIGN_OR_RETURN(const auto input, files_->OpenText(url, fingerprint));
    const exec::CancelToken cancel;
    std::string text;
    constexpr int64_t kStep = 1000;
    for (int64_t at = 0;; at += kStep) {
      CAPI_ASSIGN_OR_RETURN(const int64_t available, input->WaitFor(at + kStep, cancel));
      text.append(input->data() + at, static_cast<size_t>(std::min(available - at, kStep)));
      input->Release(std::min(available, at + kStep));
      if (available < at + kStep) break;
    }
    CAPI_ASSIGN_OR_RETURN(const InputRecord read, input->Finish(cancel));
    if (record != nullptr) *record = read;
    return text;
  }

  std::unique_ptr<Files> files_ = Files::Make(Env::Default(), FastOptions()).ValueOrDie();
};

TEST_F(HttpTest, ReadsAndTellsWhatItRead) {
  Server server{Content("a,b\n1,2\n")};
  InputRecord record;
  EXPECT_EQ(ReadText(server.Url("/a.csv?token=secret"), &record).ValueOrDie(), "a,b\n1,2\n");
  EXPECT_EQ(record.size, 8);
  EXPECT_EQ(record.etag, "\"v1\"");
  EXPECT_EQ(record.sha256, Sha256Hex("a,b\n1,2\n"));
  EXPECT_EQ(ToJson(record).find("secret"), std::string::npos);
  EXPECT_EQ(files_->Fetch(server.Url()).ValueOrDie(), "a,b\n1,2\n");
}

TEST_F(HttpTest, GoesOnWhereTheConnectionBroke) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i) + "\n";
  Server server{Content(text, /*cuts=*/8, /*cut_bytes=*/10000)};
  EXPECT_EQ(ReadText(server.Url()).ValueOrDie(), text);
  EXPECT_EQ(server.Count("Range: bytes=80000-"), 1);
  EXPECT_EQ(server.Count("If-Range: \"v1\""), 8);
}

TEST_F(HttpTest, ServersWithoutRangesStartAgain) {
  const std::string text(50000, 'x');
  Content content(text, 2, 20000);
  content.ranges = false;
  Server server{content};
  EXPECT_EQ(ReadText(server.Url()).ValueOrDie(), text);
}

TEST_F(HttpTest, AFileThatChangesWhileItIsReadIsNoticed) {
  std::atomic<int> bodies{0};
  Server server{[&](const std::string& request) {
    Content content(std::string(50000, bodies == 0 ? 'x' : 'y'), bodies == 0 ? 1 : 0, 20000);
    if (bodies > 0) content.etag = "\"v2\"";
    if (!IsHead(request)) ++bodies;
    return content(request);
  }};
  const Status status = ReadText(server.Url()).status();
  EXPECT_EQ(ErrorClassOf(status), "input_changed") << status;
}

TEST_F(HttpTest, AFileThatChangedSinceItWasPinned) {
  std::string etag = "\"v1\"";
  std::mutex mutex;
  Server server{[&](const std::string& request) {
    Content content("abc");
    const std::lock_guard lock(mutex);
    content.etag = etag;
    return content(request);
  }};
  const Fingerprint pinned = files_->FingerprintOf(server.Url()).ValueOrDie();
  {
    const std::lock_guard lock(mutex);
    etag = "\"v2\"";
  }
  const auto input = files_->OpenText(server.Url(), pinned).ValueOrDie();
  EXPECT_EQ(ErrorClassOf(input->WaitFor(1, exec::CancelToken()).status()), "input_changed");
}

TEST_F(HttpTest, TroubleThatPasses) {
  std::atomic<int> trouble{3};
  Server server{[&](const std::string& request) -> std::string {
    if (trouble-- > 0) {
      const char* status[] = {"500 Oh", "503 Busy", "429 Slow down"};
      return Head(status[trouble % 3], "Content-Length: 0\r\n");
    }
    return Content("abc")(request);
  }};
  EXPECT_EQ(ReadText(server.Url()).ValueOrDie(), "abc");
}

TEST_F(HttpTest, TroubleThatStays) {
  Server server{[](const std::string&) { return Head("500 Oh", "Content-Length: 0\r\n"); }};
  const Status status = ReadText(server.Url("/a?key=secret")).status();
  EXPECT_EQ(KindOf(status), ErrorKind::kRetriable);
  EXPECT_NE(status.message().find("after 5 tries"), std::string::npos) << status;
  EXPECT_EQ(status.message().find("secret"), std::string::npos) << status;
  EXPECT_EQ(server.requests().size(), 5u);
}

TEST_F(HttpTest, StatusesOfTheServer) {
  const std::vector<std::pair<std::string, std::string>> classes = {
      {"404 No", "file_not_found"}, {"410 Gone", "file_not_found"}, {"403 No", "access_denied"},
      {"401 Who", "access_denied"}, {"400 What", "http_error"},     {"204 Empty", "http_error"}};
  for (const auto& [answer, error_class] : classes) {
    Server server{[line = answer](const std::string&) {
      return Head(line, line.starts_with("204") ? "" : "Content-Length: 0\r\n");
    }};
    const Status status = ReadText(server.Url()).status();
    EXPECT_EQ(ErrorClassOf(status), error_class) << answer << status;
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    EXPECT_LE(server.requests().size(), 2u);
  }
}

TEST_F(HttpTest, ServersThatKnowNoHead) {
  Server server{[](const std::string& request) -> std::string {
    if (IsHead(request)) return Head("405 No", "Content-Length: 0\r\n");
    return Content("abcdef")(request);
  }};
  EXPECT_EQ(files_->FingerprintOf(server.Url()).ValueOrDie().size, 6);
  EXPECT_EQ(ReadText(server.Url()).ValueOrDie(), "abcdef");
}

TEST_F(HttpTest, UnknownLength) {
  Server server{[](const std::string& request) {
    return Head("200 OK", "") + (IsHead(request) ? "" : "some text");
  }};
  EXPECT_EQ(files_->FingerprintOf(server.Url()).ValueOrDie().size, -1);
  EXPECT_EQ(ReadText(server.Url()).ValueOrDie(), "some text");
}

TEST_F(HttpTest, NobodyListens) {
  std::string url;
  {
    Server server{Content("")};
    url = server.Url();
  }
  EXPECT_EQ(KindOf(files_->FingerprintOf(url).status()), ErrorKind::kRetriable);
}

TEST_F(HttpTest, ASilentServer) {
  FilesOptions options = FastOptions();
  options.idle_timeout_ms = 1000;
  options.max_tries = 2;
  Use(options);
  std::atomic<bool> done{false};
  Server server{[&](const std::string&) {
    while (!done) usleep(10000);
    return std::string();
  }};
  EXPECT_EQ(KindOf(files_->FingerprintOf(server.Url()).status()), ErrorKind::kRetriable);
  done = true;
}

TEST_F(HttpTest, ClosingAnInputEndsItsTransfer) {
  const std::string text(200 << 20, 'x');
  Server server{Content(text)};
  const Fingerprint fingerprint = files_->FingerprintOf(server.Url()).ValueOrDie();
  const auto input = files_->OpenText(server.Url(), fingerprint).ValueOrDie();
  EXPECT_GE(input->WaitFor(1000, exec::CancelToken()).ValueOrDie(), 1000);
}

TEST_F(HttpTest, RedirectsAreFollowed) {
  Server server{[](const std::string& request) -> std::string {
    if (request.find(" /old") != std::string::npos) {
      return Head("302 There", "Location: /new?x=1\r\nContent-Length: 0\r\n");
    }
    return Content("new text")(request);
  }};
  EXPECT_EQ(ReadText(server.Url("/old")).ValueOrDie(), "new text");
}

TEST_F(HttpTest, RedirectsThatAreNotFollowed) {
  for (const char* location :
       {"file:///etc/passwd", "ftp://127.0.0.1/x", "sftp://u@127.0.0.1/x", "/loop", ""}) {
    Server server{[location](const std::string&) {
      return Head("301 There", "Location: " + std::string(location) + "\r\nContent-Length: 0\r\n");
    }};
    EXPECT_EQ(ErrorClassOf(ReadText(server.Url()).status()), "bad_redirect") << location;
    EXPECT_LE(server.requests().size(), 11u);
  }
}

TEST_F(HttpTest, PasswordsStayWithTheirHost) {
  Server other{Content("text")};
  Server server{[&](const std::string&) {
    return Head("302 There", "Location: " + other.Url() + "\r\nContent-Length: 0\r\n");
  }};
  const std::string url = "http://joe:secret@" + server.Url().substr(7);
  EXPECT_EQ(ReadText(url).ValueOrDie(), "text");
  EXPECT_EQ(server.Count("Authorization: Basic am9lOnNlY3JldA=="), 2);
  EXPECT_EQ(other.Count("Authorization"), 0);
}

TEST_F(HttpTest, WebScriptsDoNotReachThisMachine) {
  FilesOptions options = FastOptions();
  options.policy = AccessPolicyOptions::OfWebScripts();
  Use(options);
  Server server{Content("text")};
  // As an address in several spellings, and by a name that leads here.
  for (const char* host : {"127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0"}) {
    const Status status = files_->Fetch(server.Url("/a", host)).status();
    EXPECT_EQ(ErrorClassOf(status), "address_refused") << host << status;
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpTest, RedirectsAreJudgedToo) {
  FilesOptions options = FastOptions();
  options.policy = AccessPolicyOptions::OfWebScripts();
  options.policy.hosts = {"127.0.0.2"};
  Use(options);
  Server server{[](const std::string& request) -> std::string {
    const size_t host = request.find("Host: ");
    const std::string port = request.substr(request.find(':', host + 6) + 1, 5);
    if (request.find(" /ok") != std::string::npos) return Content("text")(request);
    const std::string to =
        request.find(" /address") != std::string::npos ? "127.0.0.1" : "localhost";
    return Head("302 There", "Location: http://" + to + ":" + std::to_string(std::stoi(port)) +
                                 "/ok\r\nContent-Length: 0\r\n");
  }};
  EXPECT_EQ(files_->Fetch(server.Url("/ok", "127.0.0.2")).ValueOrDie(), "text");
  for (const char* path : {"/address", "/name"}) {
    EXPECT_EQ(ErrorClassOf(files_->Fetch(server.Url(path, "127.0.0.2")).status()),
              "address_refused")
        << path;
  }
  EXPECT_EQ(server.Count(" /ok"), 2);
}

TEST_F(HttpTest, RandomAccess) {
  const std::string text = "0123456789";
  Server server{[&](const std::string& request) -> std::string {
    const size_t at = request.find("Range: bytes=");
    if (at == std::string::npos) return Content(text)(request);
    const int64_t begin = RangeBegin(request);
    const int64_t end = std::stoll(request.substr(request.find('-', at + 13) + 1));
    const std::string body =
        text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin + 1));
    return Head("206 Partial Content",
                "ETag: \"v1\"\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\nContent-Range: bytes " + std::to_string(begin) + "-" +
                    std::to_string(end) + "/10\r\n") +
           body;
  }};
  const Fingerprint fingerprint = files_->FingerprintOf(server.Url()).ValueOrDie();
  const auto input = files_->OpenRandomAccess(server.Url(), fingerprint).ValueOrDie();
  EXPECT_EQ(input->size(), 10);
  EXPECT_TRUE(input->mapped().empty());
  std::string part(4, '\0');
  ASSERT_TRUE(input->ReadAt(3, 4, part.data()).ok());
  EXPECT_EQ(part, "3456");
  EXPECT_TRUE(input->ReadAt(10, 0, part.data()).ok());
  EXPECT_EQ(KindOf(input->ReadAt(8, 4, part.data())), ErrorKind::kBug);
  EXPECT_TRUE(input->Finish().ok());
}

TEST_F(HttpTest, RandomAccessWithoutRangesIsCopied) {
  Content content("0123456789");
  content.ranges = false;
  Server server{content};
  const Fingerprint fingerprint = files_->FingerprintOf(server.Url()).ValueOrDie();
  const auto input = files_->OpenRandomAccess(server.Url(), fingerprint).ValueOrDie();
  EXPECT_EQ(input->mapped(), "0123456789");
  std::string part(4, '\0');
  ASSERT_TRUE(input->ReadAt(3, 4, part.data()).ok());
  EXPECT_EQ(part, "3456");

  FilesOptions options = FastOptions();
  options.max_spill_bytes = 5;
  Use(options);
  EXPECT_EQ(KindOf(files_->OpenRandomAccess(server.Url(), fingerprint).status()),
            ErrorKind::kEnvironment);
}

TEST_F(HttpTest, SmallFilesHaveALimit) {
  FilesOptions options = FastOptions();
  options.max_small_file_bytes = 100;
  Use(options);
  Server server{Content(std::string(1000, 'x'))};
  EXPECT_EQ(ErrorClassOf(files_->Fetch(server.Url()).status()), "file_too_large");
}

TEST_F(HttpTest, WritingIsRefused) {
  SinkPlan plan;
  const auto record = [](const SinkPlan&) { return Status::OK(); };
  EXPECT_EQ(ErrorClassOf(files_->CreateSink("https://h/x", record, &plan).status()),
            "unsupported_scheme");
}

TEST_F(HttpTest, BadCaPath) {
  const TestDirectory directory(testing::TempDir());
  FilesOptions options;
  for (const std::string& path : {directory / "missing", directory / ""}) {
    options.ca_path = path;
    EXPECT_EQ(ErrorClassOf(Files::Make(Env::Default(), options).status()), "bad_ca_path");
  }
}

}  // namespace
}  // namespace capi::files
