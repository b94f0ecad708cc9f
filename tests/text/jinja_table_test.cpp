// Small templates against what Jinja2 makes of them (jinja_cases.json, written by make_jinja_cases.py), and
// where this implementation differs from it on purpose.
#include "base/error.h"
#include "base/file.h"
#include "text/jinja/eval.h"
#include "text/jinja/parser.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::text;

namespace {

std::tm moment() {
  std::tm time{};
  time.tm_year = 125;
  time.tm_mday = 15;
  time.tm_hour = 12;
  time.tm_min = 34;
  time.tm_sec = 56;
  time.tm_wday = 3;
  time.tm_yday = 14;
  return time;
}

std::string render(std::string_view source, const std::vector<jinja::Variable>& variables = {}) {
  return jinja::render(*jinja::parse(source, "t"), variables, moment()).text;
}

std::string error_of(std::string_view source) {
  try {
    render(source);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("small templates render, or fail, as in Jinja2") {
  const std::string path = std::string(RUVLLM_SOURCE_DIR) + "/tests/text/jinja_cases.json";
  const OrderedJson table = parse_ordered_json(read_file(path, 1 << 20), path);
  std::vector<jinja::Variable> variables;
  for (const auto& [name, value] : table["variables"].items()) variables.push_back({name, value});
  REQUIRE(table["cases"].size() > 200);
  for (const OrderedJson& entry : table["cases"]) {
    const auto source = entry["template"].get<std::string>();
    CAPTURE(source);
    if (entry.contains("output")) {
      CHECK(render(source, variables) == entry["output"].get<std::string>());
    } else {
      CAPTURE(entry["error"].get<std::string>());
      CHECK_THROWS_AS(render(source, variables), Error);
    }
  }
}

TEST_CASE("what reaches behind the values, or out of the template, is an error and not an empty text") {
  for (const std::string source : {"{{ ''.__class__ }}",
                                   "{{ ''['__class__'] }}",
                                   "{{ [].__len__ }}",
                                   "{{ {}.__globals__ }}",
                                   "{{ namespace().__init__ }}",
                                   "{{ ''|attr('__class__') }}",
                                   "{{ [{}]|map(attribute='__class__')|list }}",
                                   "{{ lipsum() }}",
                                   "{{ cycler.__init__ }}",
                                   "{{ joiner() }}",
                                   "{{ self }}",
                                   "{{ self.x }}",
                                   "{% import 'a' as b %}",
                                   "{% from 'a' import b %}",
                                   "{% include 'a' %}",
                                   "{% extends 'a' %}",
                                   "{% block a %}{% endblock %}",
                                   "{% do 1 %}",
                                   "{{ [].append(1) }}",
                                   "{{ {}.update({}) }}",
                                   "{{ range.__self__ }}",
                                   "{{ request.application }}",
                                   "{{ config.items() }}",
                                   "{{ ''.format.__globals__ }}",
                                   "{{ '{0.__class__}'.format(1) }}",
                                   "{% autoescape true %}{% endautoescape %}"}) {
    CAPTURE(source);
    CHECK_THROWS_AS(render(source), Error);
  }
}

TEST_CASE("errors name line and column of the template, in one line") {
  CHECK(error_of("a\n  {{ x.y }}") == "t: line 2, column 7: 'x' is undefined");
  CHECK(error_of("{{ 'é' + 1 }}") == "t: line 1, column 8: can only concatenate str (not \"int\") to str");
  CHECK(error_of("{% if x %}") == "t: line 1, column 11: 'endif' is missing");
  CHECK(error_of("{{ 'abc") == "t: line 1, column 4: a string isn't closed");
  CHECK(error_of("{{ 1 }") == "t: line 1, column 6: unexpected '}'");
  CHECK(error_of("\n\n{% frob %}") == "t: line 3, column 4: unknown tag 'frob'");
  CHECK(error_of("{{ x|frob('\x1b[31m') }}") == "t: line 1, column 6: no filter named 'frob'");
  CHECK(error_of("{% for x in 5 %}{% endfor %}").find("'int' object is not iterable") != std::string::npos);
}

TEST_CASE("raise_exception is the conversation's fault, all else the template's") {
  const auto code_of = [](std::string_view source) {
    try {
      render(source);
    } catch (const Error& error) {
      return error.code();
    }
    return Errc::failed;
  };
  CHECK(code_of("{{ raise_exception('no') }}") == Errc::usage);
  CHECK(error_of("{{ raise_exception('a\nb') }}").find("a\\nb") != std::string::npos);
  CHECK(code_of("{{ x.y }}") == Errc::corrupt_file);
  CHECK(code_of("{{ x") == Errc::corrupt_file);
}

TEST_CASE("a parsed template renders again and again, and what it set is forgotten") {
  const auto program = jinja::parse(
      "{% set ns = namespace(n=1) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ y }}{% set y = 5 %}", "t");
  for (int i = 0; i < 3; ++i) CHECK(jinja::render(*program, {}, moment()).text == "2");
}
