// Rows of `bench` as people and programs want them.
#include "cli/console.h"
#include "cli/table.h"
#include "documents.h"
#include "kernels_name.h"
#include "speed.h"

#include <algorithm>

namespace ruvllm::bench {
namespace {

/// Ratios of ours to the other program's, pair by pair.
std::vector<double> ratios(const SpeedRow& row) {
  std::vector<double> out;
  for (size_t i = 0; i < std::min(row.samples.size(), row.versus.size()); ++i)
    out.push_back(row.samples[i] / row.versus[i]);
  return out;
}

struct Cells {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

Cells cells_of(const std::vector<SpeedRow>& rows) {
  const bool has_versus =
      std::any_of(rows.begin(), rows.end(), [](const SpeedRow& row) { return !row.versus.empty(); });
  Cells cells;
  cells.titles = {"test", "model", "type", "threads", "isa", "tokens/s", "mad", "% of limit"};
  if (has_versus) cells.titles.insert(cells.titles.end(), {"other", "ratio"});
  const bool has_baseline =
      std::any_of(rows.begin(), rows.end(), [](const SpeedRow& row) { return !row.before.empty(); });
  if (has_baseline) cells.titles.insert(cells.titles.end(), {"before", "change", ""});
  for (const SpeedRow& row : rows) {
    const Stats stats = row.stats();
    std::vector<std::string> line = {row.test.name(),
                                     row.model,
                                     row.type,
                                     std::to_string(row.test.threads),
                                     isa_name(),
                                     fmt::format("{:.2f}", stats.median),
                                     fmt::format("{:.2f}", stats.deviation),
                                     fmt::format("{:.1f}", 100 * row.share())};
    if (has_versus) {
      const std::vector<double> pairs = ratios(row);
      line.push_back(pairs.empty() ? "-" : fmt::format("{:.2f}", stats_of(row.versus).median));
      line.push_back(pairs.empty() ? "-" : fmt::format("{:.3f}", stats_of(pairs).median));
    }
    if (has_baseline && !row.before.empty())
      line.insert(line.end(), {fmt::format("{:.2f}", row.median_before()),
                               fmt::format("{:+.1f} %", row.change_percent()), row.slowed ? "slower" : ""});
    else if (has_baseline)
      line.insert(line.end(), {"-", "-", ""});
    cells.rows.push_back(std::move(line));
  }
  return cells;
}

std::string join(const std::vector<std::string>& cells, std::string_view separator) {
  return fmt::format("{}", fmt::join(cells, separator));
}

std::string as_table(const Cells& cells, const cli::CommonOptions& common) {
  std::vector<cli::Table::Column> columns;
  for (size_t i = 0; i < cells.titles.size(); ++i)
    columns.push_back(
        {cells.titles[i], i < 3 || i == 4 ? cli::Table::Align::left : cli::Table::Align::right});
  cli::Table table(columns);
  for (const auto& row : cells.rows) table.add_row(row);
  return table.text(cli::Style(cli::use_color(1, common.color)));
}

/// Text for a cell of a table: a bar or a line's end of its own would begin another cell or end the row.
std::string markdown_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '\\') cell += '\\';
    cell += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return cell;
}

std::string as_markdown(const Cells& cells) {
  std::string text = "| " + join(cells.titles, " | ") + " |\n|";
  for (size_t i = 0; i < cells.titles.size(); ++i) text += i < 3 || i == 4 ? " --- |" : " ---: |";
  text += "\n";
  for (const auto& row : cells.rows) {
    text += "|";
    for (const std::string& cell : row) text += " " + markdown_cell(cell) + " |";
    text += "\n";
  }
  return text;
}

std::string as_csv(const Cells& cells) {
  const auto line = [](const std::vector<std::string>& row) {
    std::vector<std::string> quoted;
    for (const std::string& cell : row) {
      std::string text = cell;
      for (size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2) text.insert(at, 1, '"');
      quoted.push_back(cell.find_first_of(",\"\r\n") == std::string::npos ? cell : "\"" + text + "\"");
    }
    return join(quoted, ",") + "\n";
  };
  std::string text = line(cells.titles);
  for (const auto& row : cells.rows) text += line(row);
  return text;
}

}  // namespace

OrderedJson SpeedRow::json() const {
  const Stats s = stats();
  OrderedJson row = {{"test", test.name()},    {"model", model},          {"type", type},
                     {"bytes", bytes},         {"threads", test.threads}, {"isa", isa_name()},
                     {"samples_tps", samples}, {"median_tps", s.median},  {"min", s.least},
                     {"max", s.most},          {"mad", s.deviation},      {"pct_of_limit", 100 * share()}};
  if (!versus.empty()) {
    row["versus_tps"] = versus;
    row["ratios"] = ratios(*this);
    row["median_ratio"] = stats_of(ratios(*this)).median;
  }
  if (!before.empty()) {
    row["baseline_tps"] = median_before();
    row["change_pct"] = change_percent();
    row["slowed"] = slowed;
    if (p_value) row["p_value"] = *p_value;
    if (slowed) row["gate_missed"] = slowdown_text(*this);
  }
  return row;
}

std::string report_speed(const std::vector<SpeedRow>& rows, const std::string& format,
                         const cli::CommonOptions& common) {
  if (format == "json" || format == "jsonl") {
    OrderedJson all = OrderedJson::array();
    std::string lines;
    for (const SpeedRow& row : rows) {
      all.push_back(row.json());
      lines += dump_json(row.json()) + "\n";
    }
    return format == "json" ? dump_json(all) + "\n" : lines;
  }
  if (format == "junit") return junit_document(rows);
  if (format == "html") return html_page(rows);
  const Cells cells = cells_of(rows);
  if (format == "csv") return as_csv(cells);
  if (format == "md") return as_markdown(cells);
  return as_table(cells, common);
}

}  // namespace ruvllm::bench
