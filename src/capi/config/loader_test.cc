#include "capi/config/loader.h"

#include <fstream>
#include <set>
#include <sstream>

#include "capi/base/test_directory.h"
#include "capi/config/keys.h"
#include "gtest/gtest.h"

namespace capi::config {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() : directory_(testing::TempDir()) {
    options_.env = Env::Default();
    options_.directories = {directory_ / "bin", directory_ / "here"};
    for (const std::string& directory : options_.directories) {
      EXPECT_TRUE(Env::Default()->CreateDirectories(directory).ok());
    }
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  /// Loads settings that must be right.
  Config Loaded() {
    last_ = Load(options_);
    for (const Status& error : last_.errors) ADD_FAILURE() << Describe(error);
    return last_.config;
  }
  /// Descriptions of all errors, without the directory's name.
  std::vector<std::string> Errors() {
    last_ = Load(options_);
    std::vector<std::string> texts;
    for (const Status& error : last_.errors) {
      EXPECT_EQ(KindOf(error), ErrorKind::kUser) << Describe(error);
      std::string text = Describe(error);
      while (text.find(directory_.path()) != std::string::npos) {
        text.erase(text.find(directory_.path()), directory_.path().size() + 1);
      }
      texts.push_back(text);
    }
    return texts;
  }
  const Key& KeyOf(std::string_view path) {
    for (const Key& key : Keys()) {
      if (key.path == path) return key;
    }
    ADD_FAILURE() << path;
    return Keys().front();
  }

  TestDirectory directory_;
  LoadOptions options_;
  LoadedConfig last_;
};

TEST_F(ConfigTest, NothingGivenMeansDefaults) {
  const Config config = Loaded();
  EXPECT_TRUE(last_.files.empty());
  EXPECT_TRUE(last_.sources.empty());
  EXPECT_EQ(config.cassandra.port, 9042);
  EXPECT_EQ(config.py_calc.interpreter_path, "python3");
}

TEST_F(ConfigTest, AllTypesOfAFile) {
  options_.file = Write("c.json", R"({
  "Threads": 3, "memory_limit": "2GiB", "private_keys": {"u": "/k1", "v": "/k2"},
  "custom_processors": {"py_calc": {"python_interpreter_path": "/opt/py", "python_interpreter_params": ["-u"],
                                    "execution_timeout": "5s"},
                        "tag_and_denormalize": {}, "mine": {"any": 1}},
  "cassandra": {"hosts": ["a", "b"], "disable_initial_host_lookup": true, "consistency": "local_quorum",
                "ssl_opts": {"cert_path": "c", "key_path": "k"}, "timeout": 15000},
  "log": {"level": "WARN"}, "capimq_client": {"url": "http://h:7654//"}, "dead_letter_ttl": null
})");
  const Config config = Loaded();
  EXPECT_TRUE(last_.warnings.empty()) << last_.warnings[0].message;
  EXPECT_EQ(config.threads, 3);
  EXPECT_EQ(config.memory_limit, int64_t{2} << 30);
  EXPECT_EQ(config.files.private_keys.at("v"), "/k2");
  EXPECT_EQ(config.py_calc.interpreter_path, "/opt/py");
  EXPECT_EQ(config.py_calc.interpreter_params, std::vector<std::string>{"-u"});
  EXPECT_EQ(config.py_calc.execution_timeout_ms, 5000);
  EXPECT_EQ(config.cassandra.hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(config.cassandra.disable_initial_host_lookup);
  EXPECT_EQ(config.cassandra.consistency, "LOCAL_QUORUM");
  EXPECT_EQ(config.cassandra.timeout_ms, 15000);
  EXPECT_EQ(config.log.level, "warn");
  EXPECT_EQ(config.capimq_client.url, "http://h:7654");
  EXPECT_EQ(config.dead_letter_ttl_ms, 10000);
  EXPECT_EQ(last_.sources.at("threads"), options_.file + ":2:14");
}

TEST_F(ConfigTest, LaterSourcesWin) {
  Write("bin/capi.json", R"({"threads": 1, "data_dir": "a", "cassandra": {"port": 1}})");
  Write("here/capi.json", R"({"threads": 9})");  // hidden by the one beside the executable
  Write("here/capidaemon.json", R"({"cassandra": {"port": 2}, "ca_path": "b"})");
  options_.program = "capidaemon";
  Config config = Loaded();
  EXPECT_EQ(config.threads, 1);
  EXPECT_EQ(config.cassandra.port, 2);
  EXPECT_EQ(config.data_dir, "a");
  EXPECT_EQ(config.files.ca_path, "b");
  EXPECT_EQ(last_.files.size(), 2u);

  options_.environment = {{"CAPI_CASSANDRA_PORT", "3"}, {"CAPI_DATA_DIR", ""}};
  options_.overrides = {{"threads", "4", "--threads"}};
  config = Loaded();
  EXPECT_EQ(config.cassandra.port, 3);
  EXPECT_EQ(config.data_dir, "a") << "a variable without a value is not set";
  EXPECT_EQ(config.threads, 4);
  EXPECT_EQ(last_.sources.at("cassandra.port"), "CAPI_CASSANDRA_PORT (environment)");
  EXPECT_EQ(last_.sources.at("threads"), "--threads");

  options_.program = "capi";
  EXPECT_EQ(Loaded().files.ca_path, "");
}

TEST_F(ConfigTest, EnvironmentForms) {
  options_.environment = {{"CAPI_CASSANDRA_HOSTS", "a,b"},
                          {"CAPI_PRIVATE_KEYS", "u:/k:1,v:/k2"},
                          {"CAPI_CASSANDRA_ENABLE_HOST_VERIFICATION", "T"},
                          {"CAPI_PYCALC_EXECUTION_TIMEOUT", "1.5s"},
                          {"CAPI_PYCALC_INTERPRETER_PARAMS", "-u,-"},
                          {"CAPI_LOG", "debug"}};
  const Config config = Loaded();
  EXPECT_EQ(config.cassandra.hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(config.files.private_keys.at("u"), "/k:1");
  EXPECT_TRUE(config.cassandra.enable_host_verification);
  EXPECT_EQ(config.py_calc.execution_timeout_ms, 1500);
  EXPECT_EQ(config.log.level, "debug");
  options_.environment["AWS_ENDPOINT_URL"] = "http://a";
  EXPECT_EQ(Loaded().files.s3_endpoint, "http://a");
  options_.environment["AWS_ENDPOINT_URL_S3"] = "http://b";
  EXPECT_EQ(Loaded().files.s3_endpoint, "http://b");
  EXPECT_TRUE(last_.warnings.empty());
  options_.environment["CAPI_LOG_LEVEL"] = "error";
  EXPECT_EQ(Loaded().log.level, "error") << "the current spelling wins";
}

TEST_F(ConfigTest, AllErrorsAtOnceWithTheirPlaces) {
  options_.file = Write("c.json", R"({
  "threads": 5000,
  "cassandra": {"port": "9042", "hosts": ["a", 1], "consistency": "quorumm", "ssl_opts": {"cert_path": "c"}},
  "amqp10": {"retry_method": "relese"},
  "log": 3,
  "data_dir": ["x"]
})");
  options_.environment = {{"CAPI_WEBAPI_PORT", "abc"}};
  options_.overrides = {{"memory_limit", "lots", "--memory-limit"}};
  EXPECT_EQ(
      Errors(),
      (std::vector<std::string>{
          "c.json:2:14: threads: out of range, 0 to 1024 is allowed: 5000",
          "c.json:3:25: cassandra.port: an integer is expected, not a string",
          "c.json:3:42: cassandra.hosts: a list of strings is expected, but it holds a number",
          "c.json:3:67: cassandra.consistency: one of ANY ONE TWO THREE QUORUM ALL LOCAL_QUORUM "
          "EACH_QUORUM LOCAL_ONE is expected, not \"quorumm\"; did you mean QUORUM?",
          "c.json:4:30: amqp10.retry_method: one of release reject is expected, not \"relese\"; "
          "did you mean release?",
          "c.json:5:10: log: a map is expected, not a number",
          "c.json:6:15: data_dir: a string is expected, not a list",
          "webapi.webapi_port: environment variable CAPI_WEBAPI_PORT: an integer is expected, not "
          "\"abc\"",
          "memory_limit: --memory-limit: a size such as 2GiB, 500MB or 1000000 is expected, not "
          "\"lots\"",
          "cassandra.ssl_opts.cert_path: a client certificate needs both cert_path and key_path "
          "(from c.json:3:104)",
      }));
}

TEST_F(ConfigTest, UnknownNamesAreWarnedAbout) {
  options_.file =
      Write("c.json", R"({"cassandra": {"prot": 1}, "amqp10_for_rabbitmq4": {"url": "x"},
  "_parked": {"threads": 1}, "$schema": "s", "zap_config": {}})");
  options_.environment = {{"CAPI_CASSANDRA_HOST", "a"}, {"CAPI_WHATEVER_ELSE", "b"}};
  Loaded();
  std::vector<std::string> texts;
  for (const script::Warning& warning : last_.warnings) {
    texts.push_back(std::to_string(warning.place.line) + " " + warning.field_path + " " +
                    warning.message);
  }
  EXPECT_EQ(texts,
            (std::vector<std::string>{
                "1 cassandra.prot unknown setting, it is ignored: prot; did you mean port?",
                "1 amqp10_for_rabbitmq4 unknown setting, it is ignored: amqp10_for_rabbitmq4",
                "2 zap_config unknown setting, it is ignored: zap_config",
                "0  unknown environment variable, it is ignored: CAPI_CASSANDRA_HOST; did you mean "
                "CAPI_CASSANDRA_HOSTS?"}));
}

TEST_F(ConfigTest, UnreadableFiles) {
  options_.file = directory_ / "missing.json";
  EXPECT_EQ(Errors().size(), 1u);
  options_.file = Write("c.json", "{\"threads\": 1,}");
  ASSERT_EQ(Errors().size(), 1u);
  EXPECT_EQ(InfoOf(last_.errors[0]).error_class, "bad_json");
  EXPECT_EQ(InfoOf(last_.errors[0]).place.line, 1);
  options_.file = Write("c.json", "[1]");
  EXPECT_EQ(Errors(),
            std::vector<std::string>{"c.json:1:1: a map of settings is expected, not a list"});
}

TEST_F(ConfigTest, OldSpellingAndRepeatedKeys) {
  options_.file = Write("c.json", R"({"thread_pool_size": 7})");
  EXPECT_EQ(Loaded().daemon_thread_pool_size, 7);
  for (const char* text :
       {R"({"thread_pool_size": 7, "daemon": {"thread_pool_size": 8}})",
        R"({"daemon": {"thread_pool_size": 8}, "thread_pool_size": 7})",
        R"({"daemon": {"thread_pool_size": 6}, "Daemon": {"thread_pool_size": 8}})"}) {
    options_.file = Write("c.json", text);
    EXPECT_EQ(Loaded().daemon_thread_pool_size, 8) << text;
  }
}

TEST_F(ConfigTest, ZeroMeansTheDefaultWhereItIsOutOfRange) {
  options_.environment = {{"CAPI_DEAD_LETTER_TTL", "0"}, {"CAPI_THREAD_POOL_SIZE", "0"}};
  const Config config = Loaded();
  EXPECT_EQ(config.dead_letter_ttl_ms, 10000);
  EXPECT_EQ(config.daemon_thread_pool_size, 5);
  options_.environment = {{"CAPI_DEAD_LETTER_TTL", "99"}, {"CAPI_THREADS", "-1"}};
  EXPECT_EQ(Errors().size(), 2u);
}

TEST_F(ConfigTest, SecretsAreNotShown) {
  options_.file = Write("c.json", R"({"cassandra": {"username": "u", "password": "pass-word"},
    "amqp10": {"url": "amqp://guest:pass-word@h/"}, "amqp": {"url": "amqp://guest:pass/word@h/"}})");
  Config config = Loaded();
  EXPECT_EQ(ShowValue(KeyOf("cassandra.password"), config), "...");
  EXPECT_EQ(ShowValue(KeyOf("cassandra.username"), config), "u");
  EXPECT_EQ(ShowValue(KeyOf("amqp10.url"), config), "amqp://guest:...@h/");
  for (const Key& key : Keys()) {
    EXPECT_EQ(ShowValue(key, config).find("word"), std::string::npos) << key.path;
  }
  EXPECT_EQ(config.cassandra.password, "pass-word");
  options_.file =
      Write("c.json", R"({"cassandra": {"password": 4711}, "amqp10": {"url": ["pass-word"]}})");
  for (const std::string& error : Errors()) {
    EXPECT_EQ(error.find("pass-word"), std::string::npos);
    EXPECT_EQ(error.find("4711"), std::string::npos);
  }
  EXPECT_EQ(last_.errors.size(), 2u);
}

TEST_F(ConfigTest, SecretsFromFiles) {
  options_.environment = {{"CAPI_CASSANDRA_PASSWORD_FILE", Write("secret", "s3cret\n")}};
  EXPECT_EQ(Loaded().cassandra.password, "s3cret");
  options_.environment = {{"CAPI_CASSANDRA_PASSWORD_FILE", directory_ / "missing"}};
  EXPECT_EQ(Errors().size(), 1u);
}

TEST(ConfigKeysTest, DeclarationsAreDistinct) {
  std::set<std::string_view> paths;
  std::set<std::string_view> variables;
  for (const Key& key : Keys()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path;
    EXPECT_TRUE(key.variable.empty() || variables.insert(key.variable).second) << key.variable;
    EXPECT_LE(key.least, key.most) << key.path;
  }
}

TEST(ConfigKeysTest, EveryKeyIsDocumented) {
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/docs/configuration.md");
  std::ostringstream text;
  text << file.rdbuf();
  for (const Key& key : Keys()) {
    EXPECT_NE(text.str().find("`" + std::string(key.path) + "`"), std::string::npos) << key.path;
    if (!key.variable.empty()) {
      EXPECT_NE(text.str().find("`" + std::string(key.variable) + "`"), std::string::npos)
          << key.variable;
    }
  }
}

}  // namespace
}  // namespace capi::config
