// Speed rows as one HTML file: an SVG bar a row, as long as its share of the machine's limit, whiskers from
// the slowest sample to the fastest, and the same figures as a table.
#include "documents.h"
#include "kernels_name.h"

#include <algorithm>

namespace ruvllm::bench {
namespace {

// Of the chart, in SVG units: names left, bars from kLeft to kLeft + kWidth, figures right.
constexpr double kLeft = 170, kWidth = 480, kRight = 190, kRowHeight = 28, kTop = 26;

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .75rem;border-bottom:1px solid #8885;text-align:right}"
    "th:first-child,td:first-child{text-align:left}"
    "svg{width:100%;height:auto;font:13px system-ui,sans-serif}"
    "svg text{fill:currentColor}.bar{fill:#3b82f6}.slow{fill:#dc2626}"
    ".grid{stroke:currentColor;stroke-opacity:.2}.whisker{stroke:currentColor;stroke-width:1.5}";

double share(const SpeedRow& row, double rate) { return rate / row.limit_tps(); }

std::string label_of(const SpeedRow& row) {
  return fmt::format("{}, {} thread{}", row.test.name(), row.test.threads, row.test.threads == 1 ? "" : "s");
}

std::string grid(double most, double height) {
  std::string text;
  const int step = most <= 1.5 ? 25 : most <= 4 ? 50 : 100;
  for (int percent = 0; percent <= 100 * most; percent += step) {
    const double x = kLeft + kWidth * percent / 100 / most;
    text += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2:.0f}\"/>"
        "<text x=\"{0:.1f}\" y=\"14\" text-anchor=\"middle\">{3} %</text>\n",
        x, kTop - 6, height, percent);
  }
  return text;
}

std::string bar(const SpeedRow& row, double most, double y) {
  const Stats stats = row.stats();
  const auto x = [&](double rate) { return kWidth * share(row, rate) / most; };
  return fmt::format(
      "<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>"
      "<rect class=\"{}\" x=\"{}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"16\" rx=\"2\"/>"
      "<line class=\"whisker\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.0f}\" y2=\"{:.0f}\"/>"
      "<text x=\"{:.1f}\" y=\"{:.0f}\">{:.2f} tokens/s</text>\n",
      kLeft - 8, y + 13, escaped(label_of(row)), row.slowed ? "slow" : "bar", kLeft, y, x(stats.median),
      kLeft + x(stats.least), kLeft + x(stats.most), y + 8, y + 8, kLeft + x(stats.most) + 8, y + 13,
      stats.median);
}

std::string chart(const std::vector<SpeedRow>& rows) {
  double most = 1;
  for (const SpeedRow& row : rows) most = std::max(most, share(row, row.stats().most));
  const double height = kTop + kRowHeight * static_cast<double>(rows.size());
  std::string text = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Speed as a share of the machine's limit\">\n",
      kLeft + kWidth + kRight, height);
  text += grid(most, height);
  for (size_t i = 0; i < rows.size(); ++i)
    text += bar(rows[i], most, kTop + kRowHeight * static_cast<double>(i));
  return text + "</svg>\n";
}

std::string table_row(const SpeedRow& row) {
  const Stats stats = row.stats();
  std::string text = fmt::format(
      "<tr><td>{}</td><td>{}</td><td>{:.2f}</td><td>{:.2f}</td><td>{:.2f}</td><td>{:.2f}</td><td>{:.1f} "
      "%</td>",
      row.test.name(), row.test.threads, stats.median, stats.least, stats.most, stats.deviation,
      100 * row.share());
  if (!row.before.empty())
    text += fmt::format("<td>{:.2f} ({:+.1f} %{})</td>", row.median_before(), row.change_percent(),
                        row.slowed ? ", slower" : "");
  else
    text += "<td>-</td>";
  return text + "</tr>\n";
}

}  // namespace

std::string html_page(const std::vector<SpeedRow>& rows) {
  const std::string model = rows.empty() ? "" : escaped(rows[0].model + ", " + rows[0].type);
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>ruvllm bench: {0}</title>\n"
      "<style>{1}</style>\n<h1>{0}</h1>\n"
      "<p>Kernels: {2}. Bars are shares of what the machine was measured to allow in the same run: the speed "
      "of "
      "reading memory bounds decoding (tg), that of int8 products prefill (pp).</p>\n",
      model, kStyle, isa_name());
  text += chart(rows);
  text +=
      "<table>\n<tr><th>test</th><th>threads</th><th>tokens/s</th><th>least</th><th>most</th><th>MAD</th>"
      "<th>of limit</th><th>before</th></tr>\n";
  for (const SpeedRow& row : rows) text += table_row(row);
  return text + "</table>\n</html>\n";
}

}  // namespace ruvllm::bench
