#!/usr/bin/env python3
"""How far quantised files are from their source: quantize_table.py --bin BIN MODEL TEXT [--types IQ3_S,...] [--only ROW,...]

MODEL is quantised in every type and in every way that a row below names, calibrated on the first half of TEXT and
compared with MODEL on the second, by `ruvllm quantize --verify-text`. Prints a table: a line a way, a column a type,
each the mean KL divergence and the perplexity; then what each run took. A source that is quantised already is made F16
first. The figures in man/ruvllm-quantize.1.in are from here. Only the standard library is used.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

# What a row adds to the command line; {half} is the text to calibrate on, {size} the bytes of `plain`'s file.
ROWS = {
    "plain": [],
    "search fast": ["--search", "fast"],
    "imatrix": ["--calibrate", "{half}"],
    "awq": ["--calibrate", "{half}", "--method", "awq"],
    "gptq": ["--calibrate", "{half}", "--method", "gptq"],
    "gptq, --target-size": ["--calibrate", "{half}", "--method", "gptq", "--target-size", "{size}"],
}
TYPES = "Q2_K,IQ3_XXS,Q3_K_M,IQ3_S,PIQ3,IQ4_XS"


def halves(path, folder):
    """The text cut in two at the end of a line or a sentence."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    middle = len(text) // 2
    cut = next((at + 1 for at in range(middle, len(text)) if text[at] in "\n."), middle)
    names = [os.path.join(folder, name) for name in ("first.txt", "second.txt")]
    for name, part in zip(names, (text[:cut], text[cut:])):
        with open(name, "w", encoding="utf-8") as file:
            file.write(part)
    return names


class Bench:
    """One model and text; results are made once a way and type."""

    def __init__(self, arguments, folder):
        self.program = os.path.join(arguments.bin, "ruvllm")
        self.folder = folder
        self.more = arguments.more.split()
        self.first, self.second = halves(arguments.text, folder)
        self.source = os.path.join(folder, "source.gguf")
        subprocess.run([self.program, "quantize", arguments.model, self.source, "--type", "F16", "--allow-requantize"],
                       check=True, stdout=subprocess.DEVNULL)
        self.sizes = {}

    def run(self, kind, row):
        """Mean KL, perplexity, seconds."""
        out = os.path.join(self.folder, "out.gguf")
        how = [part.format(half=self.first, size=self.sizes.get(kind, 0)) for part in ROWS[row]]
        if "--target-size" not in how:
            how += ["--type", kind]
        start = time.monotonic()
        done = subprocess.run([self.program, "quantize", self.source, out, "--verify-text", self.second, "--json", *how, *self.more],
                              check=False, capture_output=True, text=True)
        if done.returncode != 0:
            return None
        seconds = time.monotonic() - start
        told = json.loads(done.stdout)
        self.sizes.setdefault(kind, told["bytes"])
        return told["mean_kl"], told["perplexity"], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--bin", default="build/release/bin", help="folder of the programs")
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--only", default=";".join(ROWS), help="rows, with semicolons between")
    parser.add_argument("--more", default="", help="options for every run")
    arguments = parser.parse_args()
    types = arguments.types.split(",")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, folder)
        print("| mean KL (perplexity) | " + " | ".join(types) + " |", flush=True)
        print("|---|" + "---|" * len(types), flush=True)
        for row in arguments.only.split(";"):
            cells = [bench.run(kind, row) for kind in types]
            shown = ["refused" if cell is None else f"{cell[0]:.5f} ({cell[1]:.3f}) {cell[2]:.1f} s" for cell in cells]
            print(f"| {row} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
