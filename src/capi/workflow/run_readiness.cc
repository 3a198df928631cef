// Which nodes may start (spec/engine.md 5) and what they are pinned to.

#include <algorithm>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/workflow/attempt_records.h"
#include "capi/workflow/dependency_policy.h"
#include "capi/workflow/run_executor_internal.h"

namespace capi::workflow {

using script::RuleCommand;
using state::NodeStatus;

struct RunExecutorImpl::Verdict {
  RuleCommand command = RuleCommand::kGo;
  int64_t reader_run = 0;
  int64_t lookup_run = 0;
  std::string reason;    ///< of wait and nogo
  bool no_rule = false;  ///< some dependency matched no rule of the policy
};

namespace {

constexpr int64_t kMessagesPerNode = 256;
constexpr int64_t kMessageBatches = 64;

std::string Reason(const std::string& dependency, const DependencyDecision& decision,
                   const std::vector<DependencyRecord>& records) {
  std::string status = "unknown";
  for (const DependencyRecord& record : records) {
    if (record.run_id == decision.run_id) status = NodeStatusName(record.node_status);
  }
  if (status == "fail") {
    return "dependency " + dependency + " failed in run " + std::to_string(decision.run_id);
  }
  return "dependency " + dependency + " is not usable: status " + status + " in run " +
         std::to_string(decision.run_id);
}

}  // namespace

Result<RunExecutorImpl::Verdict> RunExecutorImpl::Judge(const NodeState& node) {
  Verdict verdict;
  const auto decide = [&](const std::string& creator) -> Result<DependencyDecision> {
    CAPI_ASSIGN_OR_RETURN(const auto found, environment_.state->NodesNamed({creator}));
    std::vector<DependencyRecord> records;
    for (const auto& [other, run] : found) {
      DependencyRecord record;
      record.run_id = run.run_id;
      record.run_is_current = run.run_id == run_.run_id;
      record.run_status = run.status;
      record.node_status = other.status;
      record.run_start_ms = run.started_ms;
      if (run.status == state::RunStatus::kComplete) record.run_completed_ms = run.ended_ms;
      if (run.status == state::RunStatus::kStop) record.run_stopped_ms = run.ended_ms;
      record.node_start_ms = other.started_ms;
      record.node_status_ms = other.ended_ms != 0 ? other.ended_ms : other.started_ms;
      records.push_back(record);
    }
    CAPI_ASSIGN_OR_RETURN(
        DependencyDecision decision,
        Decide(*node.node->policy, records, data::Instant::FromMillis(run_.now_ms)));
    verdict.command = Combine(verdict.command, decision.command);
    if (decision.rule < 0) verdict.no_rule = true;
    if (decision.command != RuleCommand::kGo && verdict.command == decision.command) {
      verdict.reason = Reason(creator, decision, records);
    }
    return decision;
  };
  if (node.node->table_reader) {
    Result<DependencyDecision> decision = decide(node.node->table_reader->creator);
    if (!decision.ok()) {
      return Prefixed(decision.status(), node.node->table_reader->creator + ": ");
    }
    verdict.reader_run = decision->run_id;
  }
  if (node.node->lookup) {
    Result<DependencyDecision> decision = decide(node.node->lookup->creator);
    if (!decision.ok()) return Prefixed(decision.status(), node.node->lookup->creator + ": ");
    verdict.lookup_run = decision->run_id;
  }
  return verdict;
}

Result<RunExecutorImpl::Verdict> RunExecutorImpl::CountedJudge(const NodeState& node) {
  ExecutionCounters* counters = environment_.counters;
  if (counters == nullptr || (!node.node->table_reader && !node.node->lookup)) return Judge(node);
  const int64_t begun = environment_.env->MonotonicNanos();
  Result<Verdict> verdict = Judge(node);
  if (!verdict.ok()) return verdict;
  counters->dependency_checks.Add(environment_.env->MonotonicNanos() - begun);
  switch (verdict->command) {
    case RuleCommand::kGo:
      counters->dependency_go.fetch_add(1);
      break;
    case RuleCommand::kWait:
      (verdict->no_rule ? counters->dependency_none : counters->dependency_wait).fetch_add(1);
      break;
    case RuleCommand::kNoGo:
      counters->dependency_nogo.fetch_add(1);
      break;
  }
  return verdict;
}

Result<state::Pins> RunExecutorImpl::PinInputs(const NodeState& node, int64_t reader_run,
                                               int64_t lookup_run) {
  state::Pins pins;
  pins.set = true;
  pins.reader_run = reader_run;
  pins.lookup_run = lookup_run;
  if (node.node->file_reader) {
    std::vector<files::Fingerprint> fingerprints;
    for (const std::string& url : node.node->file_reader->urls) {
      CAPI_ASSIGN_OR_RETURN(files::Fingerprint fingerprint, environment_.files->FingerprintOf(url));
      fingerprints.push_back(fingerprint);
    }
    pins.inputs = FingerprintsToText(fingerprints);
  }
  return pins;
}

Status RunExecutorImpl::Enqueue(NodeState* node) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  {
    Lock lock(mutex_);
    node->ready = true;
    ranges = node->OpenRanges();
  }
  for (const auto& [begin, end] : ranges) {
    CAPI_RETURN_NOT_OK(environment_.queue->Enqueue(
        {run_.run_id, node->record.id.node_index, node->record.depth, begin, end}, 0));
  }
  return Status::OK();
}

Status RunExecutorImpl::Offer(const std::vector<NodeState*>& nodes) {
  std::vector<queue::Message> messages;
  {
    Lock lock(mutex_);
    for (const NodeState* node : nodes) {
      // Few messages even for many batches, but enough of them for many processes.
      const int64_t step =
          std::clamp<int64_t>(node->record.batches_total / kMessagesPerNode, 1, kMessageBatches);
      for (const auto& [begin, end] : node->OpenRanges()) {
        for (int64_t batch = begin; batch < end; batch += step) {
          messages.push_back({run_.run_id, node->record.id.node_index, node->record.depth, batch,
                              std::min(batch + step, end)});
        }
      }
    }
  }
  return messages.empty() ? Status::OK() : environment_.offer(messages);
}

Status RunExecutorImpl::EvaluateWaiting() {
  // Ends that were decided before (an earlier process, a failed dependency) come first: others
  // depend on them.
  bool changed = true;
  while (changed) {
    changed = false;
    if (environment_.shared()) CAPI_RETURN_NOT_OK(RefreshNodes());
    state::Changes changes;
    std::vector<NodeState*> waiting;
    std::vector<state::Pins> known_pins;  // of `waiting`
    {
      Lock lock(mutex_);
      changes = DeriveEnds(&lock);
      for (const std::unique_ptr<NodeState>& node : nodes_) {
        if (node->ready || node->ended()) continue;
        waiting.push_back(node.get());
        known_pins.push_back(node->record.pins);
      }
    }
    changed = !changes.nodes.empty();
    CAPI_RETURN_NOT_OK(environment_.state->Apply(changes));

    std::vector<Result<Verdict>> verdicts;
    bool all_go = true;
    for (size_t i = 0; i < waiting.size(); ++i) {
      verdicts.push_back(known_pins[i].set ? Verdict() : CountedJudge(*waiting[i]));
      const Result<Verdict>& verdict = verdicts.back();
      if (!verdict.ok() && KindOf(verdict.status()) != ErrorKind::kUser) return verdict.status();
      all_go = all_go && verdict.ok() && verdict->command == RuleCommand::kGo;
    }
    if (!all_go) {
      // The rules must not fail nodes because their own run was stopped meanwhile.
      CAPI_ASSIGN_OR_RETURN(const bool stopped, NoticeStop());
      if (stopped) return StopNodes();
    }

    std::string waiting_for;
    std::vector<NodeState*> ready;
    std::vector<NodeState*> pinned;  // by this process, now
    changes = {};
    for (size_t i = 0; i < waiting.size(); ++i) {
      NodeState* node = waiting[i];
      Result<state::Pins> pins = known_pins[i];
      if (!known_pins[i].set) {
        const Result<Verdict>& verdict = verdicts[i];
        if (verdict.ok() && verdict->command == RuleCommand::kWait) {
          // The first one in script order: those behind it only wait for it.
          if (waiting_for.empty()) {
            waiting_for = "node " + node->record.name + " waits: " + verdict->reason;
          }
          continue;
        }
        if (!verdict.ok()) {
          pins = verdict.status();
        } else if (verdict->command == RuleCommand::kNoGo) {
          pins = UserError("dependency_failed", verdict->reason);
        } else {
          pins = PinInputs(*node, verdict->reader_run, verdict->lookup_run);
          if (!pins.ok() && KindOf(pins.status()) == ErrorKind::kEnvironment) return pins.status();
        }
        Lock lock(mutex_);
        // Of a shared run the dispatcher may have learned meanwhile that somebody else was faster.
        if (node->ready || node->ended()) continue;
        if (pins.ok()) {
          // Of a shared run those count that the state has in the end.
          if (!environment_.shared()) node->record.pins = *pins;
          state::NodeChange change;
          change.id = node->record.id;
          change.pins = *pins;
          changes.nodes.push_back(std::move(change));
          pinned.push_back(node);
        } else {
          changes.nodes.push_back(node->EndWith(NodeStatus::kFail, ToErrorRecord(pins.status())));
          changed = true;
        }
      }
      if (pins.ok()) ready.push_back(node);
    }
    CAPI_RETURN_NOT_OK(environment_.state->Apply(changes));
    CAPI_FAULT_POINT("workflow.after_pin");
    if (environment_.shared()) {
      if (!pinned.empty()) CAPI_RETURN_NOT_OK(RefreshNodes());
      {
        Lock lock(mutex_);
        for (NodeState* node : ready) node->ready = node->record.pins.set;
      }
      CAPI_RETURN_NOT_OK(Offer(pinned));
    } else {
      for (NodeState* node : ready) CAPI_RETURN_NOT_OK(Enqueue(node));
    }
    {
      Lock lock(mutex_);
      waiting_for_ = waiting_for;
    }
  }
  return AfterEnds();
}

}  // namespace capi::workflow
