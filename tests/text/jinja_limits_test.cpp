// Templates made to exhaust steps, memory, depth or output: each must end with an error, and soon.
#include "base/error.h"
#include "text/jinja/eval.h"
#include "text/jinja/parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>

using namespace ruvllm;
using namespace ruvllm::text;

namespace {

std::string repeated(std::string_view text, int n_times) {
  std::string all;
  for (int i = 0; i < n_times; ++i) all += text;
  return all;
}

const std::string kForever = "{% for i in range(1000000) %}";
const std::string kDoubling = "{% for i in range(100) %}";
const std::string kMillion = "{% set s = 'a' * 1000000 %}";

const std::vector<std::string> kBombs = {
    "{% for i in range(10**9) %}x{% endfor %}",
    kForever + "{% for j in range(1000000) %}{% endfor %}{% endfor %}",
    kForever + "{% for j in range(1000000) %}{{ i }}{% endfor %}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}" + kDoubling + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}" + kDoubling + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(l=[1]) %}" + kDoubling + "{% set ns.l = ns.l + ns.l %}{% endfor %}",
    "{% set ns = namespace(l=[1]) %}" + kDoubling + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l "
    "}}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
    "ns.l|tojson }}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l "
    "== ns.l }}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = {'a':ns.l, 'b':ns.l} %}{% endfor "
    "%}{{ ns.l|string|length }}",
    "{% set ns = namespace(l=1) %}{% for i in range(1000000) %}{% set ns.l = [ns.l] %}{% endfor %}",
    "{{ messages|tojson(indent=10**9) }}",
    "{{ messages|tojson(indent=9000000) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% for i in [1,2] recursive %}{{ loop([1,2]) }}{% endfor %}",
    "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
    kForever + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
    kForever + "{{ messages }}{% endfor %}",
    "{{ range(1000000)|list|sort|string|length }}{{ range(1000000)|list|join|length }}{{ "
    "range(1000000)|map('string')|list|unique|list }}",
    "{{ range(1000000)|unique|list|length }}",
    "{% set s = 'ab' * 100000 %}{% for i in range(1000000) %}{% if 'ba' * 2 ~ 'x' in s %}{% endif %}{% "
    "endfor %}",
    kMillion + "{% for i in range(1000000) %}{{ s[i:i+1] }}{% endfor %}",
    kMillion + "{% for i in range(1000000) %}{{ s|upper|length }}{% endfor %}",
    kMillion + "{% for i in range(1000000) %}{% if s.split('a') %}{% endif %}{% endfor %}",
    kMillion + "{{ s.replace('a', s) }}",
    kMillion + "{{ s.replace('', s) }}",
    kMillion + "{{ s.join(s) }}",
    "{{ '%2000000000d' % 1 }}",
    "{{ '%9000000d' % 1 }}{{ '%9000000d' % 1 }}",
    "{{ 'a'.center(10**9) }}{{ 'a'.zfill(10**9) }}",
    "{{ 'a'|indent(10**9, true) }}",
    "{{ ('\\n' * 100000)|indent(100000, true, true) }}",
    "{{ 9**9**9**9 }}",
    "{{ 2 ** 10**18 }}",
    kForever +
        "{% set x = namespace() %}{% set x.a = x %}{% endfor %}{% for i in range(1000000) %}{% for j in "
        "range(10) %}{% endfor %}{% endfor %}",
    "{% set ns = namespace() %}{% for i in range(1000000) %}{% set y = dict(a=i, b=i, c=i) %}{% endfor %}",
    "{{ ('a' * 1000000)|batch(1)|list|length }}{{ ('a' * 1000000)|list|sort|length }}{{ ('a' * "
    "1000000)|list|length }}{{ ('a' * 1000000)|list|groupby(0)|length }}",
    "{{ range(1000000)|batch(1000000000, 'x')|list }}",
    "{{ range(10)|slice(1000000000)|list }}",
    "{{ '\\u00e9' * 1000000 }}{% for i in range(1000000) %}{{ ('\\u00e9' * 10000)[9999] }}{% endfor %}",
    "{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% "
    "with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with "
    "a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 "
    "%}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% "
    "with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with "
    "a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 "
    "%}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% with a=1 %}{% for i in "
    "range(1000000) %}{{ zz }}{% endfor %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith "
    "%}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith "
    "%}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith "
    "%}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith "
    "%}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith "
    "%}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith "
    "%}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% endwith %}{% for i in range(1000000) %}{% for "
    "i in range(1000000) %}{% endfor %}{% endfor %}",
    "{{ ('a' * 1000000)|wordcount }}{{ ('a ' * 1000000)|title|length }}{{ ('a ' * 1000000).title()|length "
    "}}{{ ('a-' * 1000000)|urlencode|length }}{{ ('<' * 1000000)|e|length }}{{ ('<' * 1000000)|e|length }}",
    kForever + "{{ strftime_now('%A %B %c %x %X') }}{% endfor %}",
    kForever + "{% set ns = namespace(a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8) %}{% endfor %}",
    kForever + "{% if messages == messages %}{% endif %}{% endfor %}",
    kForever + "{% if messages|tojson|length %}{% endif %}{% endfor %}",
    kMillion +
        "{{ (('a' * 500000) ~ 'b') in s }}{% for i in range(100000) %}{{ (('a' * 50000) ~ 'b') in s }}{% "
        "endfor %}",
    kMillion +
        "{{ s.rfind('b' ~ ('a' * 500000)) }}{% for i in range(100000) %}{{ s.rfind('b' ~ ('a' * 50)) }}{% "
        "endfor %}",
    "{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}",
    "{{ " + repeated("[", 100'000) + repeated("]", 100'000) + " }}",
    "{{ " + repeated("-", 100'000) + "1 }}",
    "{{ " + repeated("not ", 100'000) + "1 }}",
    "{{ " + repeated("{'a':", 100'000) + "1" + repeated("}", 100'000) + " }}",
    repeated("{% if true %}", 70'000) + repeated("{% endif %}", 10),
    "{{ x" + repeated(".a", 100'000) + " }}",
    "{{ " + repeated("x[", 100'000),
    repeated("{% for i in [1] %}", 63) + kForever,
    "{{ 1" + repeated("+1", 200'000) + " }}" + kForever + kForever + "{% endfor %}{% endfor %}",
    repeated("{% with a=1 %}", 50) + kForever + "{{ zz }}{% endfor %}" + repeated("{% endwith %}", 50) +
        kForever + kForever + "{% endfor %}{% endfor %}",
    repeated("x", 2'000'000),
};

jinja::Rendering render(const std::string& source, const OrderedJson& messages) {
  const std::vector<jinja::Variable> variables = {{"messages", messages}};
  return jinja::render(*jinja::parse(source, "bomb"), variables, std::tm{});
}

}  // namespace

TEST_CASE("template bombs end with an error of the template") {
  REQUIRE(kBombs.size() >= 40);
  const OrderedJson messages = {{{"role", "user"}, {"content", repeated("hi", 1000)}}};
  double slowest_ms = 0;
  for (const std::string& bomb : kBombs) {
    CAPTURE(bomb.substr(0, 200));
    const std::clock_t begin = std::clock();  // time of this process: the machine may be busy
    try {
      render(bomb, messages);
      FAIL("it rendered");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
    }
    slowest_ms = std::max(slowest_ms, 1000.0 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  MESSAGE("slowest of ", kBombs.size(), " bombs: ", slowest_ms, " ms (the aim is 200)");
}

TEST_CASE("large input pays for itself: what is long but harmless renders") {
  const OrderedJson one = {{"role", "user"}, {"content", repeated("All the world's a stage. ", 400'000)}};
  const OrderedJson messages = {one, one};
  const auto rendering = render(
      "{% for m in messages %}{{ '<' + m.role + '>' + m.content|trim + '\n' }}{{ m.content|tojson|length > 9 "
      "}}"
      "{% endfor %}",
      messages);
  CHECK(rendering.text.size() > 20'000'000);
}

TEST_CASE("many messages render in linear time") {
  OrderedJson messages = OrderedJson::array();
  for (int i = 0; i < 4096; ++i)
    messages.push_back({{"role", i % 2 ? "assistant" : "user"}, {"content", "hi"}});
  const auto rendering = render(
      "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('x') "
      "}}{% endif %}"
      "{{ m.role ~ m.content ~ loop.last }}{% endfor %}",
      messages);
  CHECK(rendering.text.ends_with("assistanthiTrue"));
}
