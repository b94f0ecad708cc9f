// Speed rows as documents for other programs: a test report for continuous integration, a page for a browser.
// Tested by tests/cli/bench_speed_test.cpp.
#pragma once

#include "speed.h"

namespace ruvllm::bench {

/// JUnit's XML: a test case a row, a failure where it slowed against the baseline.
std::string junit_document(const std::vector<SpeedRow>& rows);

/// One HTML file that needs nothing else: a chart of all rows against their limits, and a table.
std::string html_page(const std::vector<SpeedRow>& rows);

/// Text for XML or HTML, in an element or a quoted attribute.
std::string escaped(std::string_view text);

}  // namespace ruvllm::bench
