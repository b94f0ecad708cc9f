// Curves as a picture: an SVG (or an HTML page that holds it) with axes, a grid and a legend. No script, no
// fonts to fetch: it opens in any browser. Tested by tests/train/plot_test.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::train {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< (x, y); values that are not finite are left out
};

/// An SVG document.
std::string plot_svg(std::string_view title, std::string_view x_label, std::string_view y_label,
                     const std::vector<Curve>& curves);

/// A page with one picture after the other.
std::string plot_page(std::string_view title, const std::vector<std::string>& pictures);

}  // namespace ruvllm::train
