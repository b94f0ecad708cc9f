#!/usr/bin/env python3
"""Writes jinja_cases.json: what Jinja2, set up as Hugging Face does, makes of many small templates.

Usage: make_jinja_cases.py < TEMPLATES > jinja_cases.json, one template a line (as a JSON string where it begins with
a quote). Needs python3-jinja2; only whoever adds cases runs it: feed it the templates of the old file and the new ones.
Cases whose outcome has an address in it, or differs on purpose (marked in jinja_table_test.cpp), must not be fed.
"""
import datetime
import json
import sys

import jinja2
from jinja2 import ext, nodes, sandbox

VARIABLES = {
    "a": [1, 2, 3], "s": "Hello World", "d": {"x": 1, "y": "z", "items": 5}, "n": None, "f": 1.5, "t": True, "i": 7,
    "u": "naïve é ß Ünï", "msgs": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}], "e": [],
    "neg": -3, "words": "  the quick\tbrown  fox\n", "big": 12345678901234567,
    "fl": [0.1, 1e16, 1e-5, 100.0, 1.0, -0.0, 123456789.123, 1e22, 1.5e300], "ctl": "a\x00b\x7f\u200b\"'\\",
    "nested": {"b": [1, {"c": "d"}], "a": {}}, "html": "<b>&'\"",
}


class Generation(ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_content"), [], [], body).set_lineno(line)

    def _content(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols])
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = datetime.datetime(2025, 1, 15, 12, 34, 56).strftime
    return env


def main():
    cases = []
    for line in sys.stdin.read().splitlines():
        template = json.loads(line) if line.startswith('"') else line
        try:
            variables = json.loads(json.dumps(VARIABLES))
            cases.append({"template": template, "output": environment().from_string(template).render(**variables)})
        except Exception as error:  # whatever Python throws
            cases.append({"template": template, "error": f"{type(error).__name__}: {error}"})
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    print('{"variables": ' + json.dumps(VARIABLES, ensure_ascii=False) + ',\n "cases": [\n' + lines + "\n]}")


if __name__ == "__main__":
    main()
