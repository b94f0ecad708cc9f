#include "train/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ruvllm::train {
namespace {

constexpr double kWidth = 800, kHeight = 420, kLeft = 64, kRight = 16, kTop = 40, kBottom = 48;
constexpr std::array<std::string_view, 6> kColours = {"#1f77b4", "#d62728", "#2ca02c",
                                                      "#9467bd", "#ff7f0e", "#17becf"};

struct Axis {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();

  void include(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  void settle() {
    if (!(least <= most)) least = 0, most = 1;
    if (least == most) least -= 0.5, most += 0.5;
  }
  // A round step (1, 2 or 5 times a power of ten) that gives about six lines.
  double step() const {
    const double rough = (most - least) / 6, power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
      if (rough <= factor * power) return factor * power;
    return 10 * power;
  }
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string label_at(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

}  // namespace

std::string plot_svg(std::string_view title, std::string_view x_label, std::string_view y_label,
                     const std::vector<Curve>& curves) {
  Axis x, y;
  for (const Curve& curve : curves)
    for (const auto& [at, value] : curve.points)
      if (std::isfinite(value)) x.include(at), y.include(value);
  x.settle();
  y.settle();
  const auto to_x = [&](double at) {
    return kLeft + (at - x.least) / (x.most - x.least) * (kWidth - kLeft - kRight);
  };
  const auto to_y = [&](double value) {
    return kHeight - kBottom - (value - y.least) / (y.most - y.least) * (kHeight - kTop - kBottom);
  };

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  for (double at = std::ceil(x.least / x.step()) * x.step(); at <= x.most; at += x.step()) {
    svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#eee\"/>\n",
                       to_x(at), kTop, kHeight - kBottom);
    svg += label_at(to_x(at), kHeight - kBottom + 16, "middle", fmt::format("{:g}", at));
  }
  for (double value = std::ceil(y.least / y.step()) * y.step(); value <= y.most; value += y.step()) {
    svg += fmt::format("<line y1=\"{0:.1f}\" y2=\"{0:.1f}\" x1=\"{1}\" x2=\"{2}\" stroke=\"#eee\"/>\n",
                       to_y(value), kLeft, kWidth - kRight);
    svg += label_at(kLeft - 6, to_y(value) + 4, "end", fmt::format("{:.4g}", value));
  }
  for (size_t i = 0; i < curves.size(); ++i) {
    const std::string_view colour = kColours[i % kColours.size()];
    std::string points;
    for (const auto& [at, value] : curves[i].points)
      if (std::isfinite(value)) points += fmt::format("{:.1f},{:.1f} ", to_x(at), to_y(value));
    svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>\n", colour,
                       points);
    const double row = kTop + 14 + 16 * static_cast<double>(i);
    svg +=
        fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" stroke-width=\"3\"/>\n",
                    kWidth - 170, kWidth - 150, row - 4, colour);
    svg += label_at(kWidth - 144, row, "start", curves[i].name);
  }
  svg += label_at(kWidth / 2, 22, "middle", title) + label_at(kWidth / 2, kHeight - 10, "middle", x_label);
  svg += fmt::format(
      "<text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n</svg>\n",
      kHeight / 2, escaped(y_label));
  return svg;
}

std::string plot_page(std::string_view title, const std::vector<std::string>& pictures) {
  std::string page = fmt::format(
      "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{0}</title>\n<h1>{0}</h1>\n", escaped(title));
  for (const std::string& picture : pictures) page += picture;
  return page;
}

}  // namespace ruvllm::train
