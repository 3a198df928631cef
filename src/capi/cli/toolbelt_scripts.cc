// validate_script, get_run_status_diagram, get_table_cql.

#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/commands.h"
#include "capi/cli/toolbelt_internal.h"
#include "capi/diagram/dot.h"
#include "capi/diagram/graph_json.h"
#include "capi/diagram/svg.h"
#include "capi/service/table_cql.h"

namespace capi::cli {

namespace {

using Type = GoFlags::Type;

// ---- validate_script

void DefineValidateScript(GoFlags* flags) {
  DefineScriptFlags(flags);
  flags->Define("format", Type::kString, "capigraph",
                "Diagram to print: capigraph or svg, dot, json, none");
  flags->Define("detail", Type::kString, "idx,field",
                "What arrows of dot tell: idx (tables and indexes), field, or both");
  flags->Define("idx_dag", Type::kBool, "false", "Older form of -format=dot -detail=idx");
  flags->Define("field_dag", Type::kBool, "false", "Older form of -format=dot -detail=field");
}

Result<int> ValidateScript(const GoFlags& flags, const config::Config& config) {
  std::string format = flags.Text("format");
  diagram::DotLabels labels;
  labels.indexes = flags.Text("detail").find("idx") != std::string::npos;
  labels.fields = flags.Text("detail").find("field") != std::string::npos;
  if (flags.Bool("idx_dag") || flags.Bool("field_dag")) {
    format = "dot";
    labels = {flags.Bool("idx_dag"), flags.Bool("field_dag")};
  }
  if (format == "svg") format = "capigraph";
  if (format != "capigraph" && format != "dot" && format != "json" && format != "none") {
    return ToolbeltUsageError("the flag -format must be capigraph, svg, dot, json or none, not " +
                              format);
  }
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<const script::Script> script,
                        ScriptOfFlags(flags, config));
  std::string text;
  if (format == "dot") text = diagram::RenderDot(*script, labels);
  if (format == "json") text = diagram::RenderJson(*script);
  if (format == "capigraph") {
    CAPI_ASSIGN_OR_RETURN(text, diagram::RenderSvg(*script));
  }
  std::printf("%s", text.c_str());
  return kExitOk;
}

// ---- get_run_status_diagram

void DefineStatusDiagram(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineScriptFlags(flags);
  flags->Define("run_id", Type::kInt, "0", "The run");
  flags->Define("format", Type::kString, "capigraph", "capigraph or dot");
}

Result<int> StatusDiagram(const GoFlags&, const config::Config&) {
  return EnvironmentError(
      "get_run_status_diagram is not in this version; get_node_history tells the statuses, and "
      "validate_script prints the diagram without them");
}

// ---- get_table_cql

void DefineTableCql(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineScriptFlags(flags);
  flags->Define("run_id", Type::kInt, "0", "Run id in the names of tables");
  flags->Define("start_nodes", Type::kString, "",
                "Names of the nodes to start, comma separated; without it all that read files");
}

Result<int> TableCql(const GoFlags& flags, const config::Config& config) {
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"keyspace", "script_file"}));
  CAPI_RETURN_NOT_OK(CheckKeyspaceFlag(flags.Text("keyspace")));
  if (flags.Int("run_id") != 0) CAPI_RETURN_NOT_OK(CheckRunId(flags));
  service::TableCqlOptions options;
  options.keyspace = flags.Text("keyspace");
  options.run_id = flags.Int("run_id");
  CAPI_ASSIGN_OR_RETURN(options.start_nodes, StartNodesOfFlags(flags));
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<const script::Script> script,
                        ScriptOfFlags(flags, config));
  CAPI_ASSIGN_OR_RETURN(const std::string cql, service::TableCql(*script, options));
  std::printf("%s", cql.c_str());
  return kExitOk;
}

}  // namespace

std::vector<ToolbeltCommand> ToolbeltScriptCommands() {
  return {{"validate_script", "", DefineValidateScript, ValidateScript},
          {"get_run_status_diagram", "drop_run_status_diagram", DefineStatusDiagram, StatusDiagram},
          {"get_table_cql", "", DefineTableCql, TableCql}};
}

}  // namespace capi::cli
