// Speed rows as JUnit's XML, which every CI system reads: https://github.com/testmoapp/junitxml
#include "documents.h"
#include "kernels_name.h"

#include <algorithm>

namespace ruvllm::bench {
namespace {

std::string property(std::string_view name, const std::string& value) {
  return fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", name, escaped(value));
}

std::string test_case(const SpeedRow& row) {
  const Stats stats = row.stats();
  const int n_tokens = row.test.batch * (row.test.n_prompt + row.test.n_generated);
  double seconds = 0;
  for (const double rate : row.samples) seconds += n_tokens / rate;
  std::string text =
      fmt::format("  <testcase classname=\"{}\" name=\"{} t{}\" time=\"{:.6f}\">\n    <properties>\n",
                  escaped(row.model), row.test.name(), row.test.threads, seconds);
  text += property("type", row.type) + property("isa", isa_name());
  text += property("median_tps", fmt::format("{:.4f}", stats.median));
  text += property("mad", fmt::format("{:.4f}", stats.deviation));
  text += property("pct_of_limit", fmt::format("{:.2f}", 100 * row.share()));
  if (!row.before.empty()) text += property("baseline_tps", fmt::format("{:.4f}", row.median_before()));
  if (row.p_value) text += property("p_value", fmt::format("{:.4g}", *row.p_value));
  text += "    </properties>\n";
  if (row.slowed)
    text += fmt::format("    <failure type=\"slowdown\" message=\"{}\"/>\n", escaped(slowdown_text(row)));
  return text + "  </testcase>\n";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  return out;
}

std::string junit_document(const std::vector<SpeedRow>& rows) {
  const auto n_failures =
      std::count_if(rows.begin(), rows.end(), [](const SpeedRow& row) { return row.slowed; });
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"ruvllm bench\" tests=\"{}\" failures=\"{}\" errors=\"0\">\n",
      rows.size(), n_failures);
  for (const SpeedRow& row : rows) text += test_case(row);
  return text + "</testsuite>\n";
}

}  // namespace ruvllm::bench
