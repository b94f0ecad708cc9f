#!/usr/bin/env python3
"""What quantisation-aware training gains over quantising: qat_table.py --bin BIN [MODEL TEXT]

Without MODEL: the built-in model, on stories that it was not trained on (models/tiny/stories.py writes them). MODEL
writes its own text to train on (--data-free); the first half of TEXT is to calibrate on, the second to measure on.
Every row of the table is one type: the model quantised by the best of `ruvllm quantize` (--search best, each --method,
calibrated, with and without what else the type has) and trained by `ruvllm train-qat`, both measured by `ruvllm bench
--perplexity`, and how much of the gap to full precision the training closes. The tables of man/ruvllm-train-qat.1.in
are from here. Only the standard library is used.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

METHODS = (["--method", "rtn"], ["--method", "awq"], ["--method", "gptq"])
FOLDER = os.path.dirname(os.path.abspath(__file__))


class Row(NamedTuple):
    """A type: how it is trained for, how it is quantised to, and what else quantising may do for it."""
    train: str
    quantize: str
    ways: tuple = ("",)


OWN = (Row("--preset piq2 --lr 1e-3", "--type PIQ2 --pure", ("", "--incoherence")),
       Row("--preset piq3 --lr 1e-3", "--type PIQ3 --pure", ("", "--incoherence")),
       Row("--target Q4_0 --lr 1e-3", "--type Q4_0"))
TINY = (Row("--target PIQ2 --ste lsq --incoherence --lr 5e-4", "--type PIQ2", ("", "--incoherence")),
        Row("--target IQ2_XS --lr 2e-4", "--type IQ2_XS"),
        Row("--target Q2_K --lr 2e-4", "--type Q2_K"),
        Row("--target PIQ3 --ste lsq --lr 2e-4", "--type PIQ3", ("", "--incoherence")),
        Row("--target Q3_K_S --lr 1e-4", "--type Q3_K_S"),
        Row("--target Q4_0 --lr 1e-4", "--type Q4_0"),
        Row("--target Q4_K_S --lr 5e-5", "--type Q4_K_S"))


class Lab:
    """One model, its texts, and files of it."""

    def __init__(self, arguments, folder):
        self.program = os.path.join(arguments.bin, "ruvllm")
        self.folder = folder
        self.more = arguments.more.split()
        if arguments.model:
            self.model = arguments.model
            self.calibration, self.held_out = self.halves(arguments.text)
            self.rows = OWN
            self.data = ["--data-free", str(arguments.tokens), "--epochs", "1"]
        else:
            self.model = os.path.join(FOLDER, "tiny.gguf")
            self.rows = TINY
            share = 0.3  # of stories in what is written
            subprocess.run([sys.executable, os.path.join(FOLDER, "tiny", "generate.py"), folder, "--seed", "2",
                            "--megabytes", str(arguments.megabytes / share)], check=True, stdout=subprocess.DEVNULL)
            data = self.path("stories.jsonl")
            with open(data, encoding="utf-8") as file:
                texts = [json.loads(line)["text"] for line in file]
            self.calibration = self.write("calibration.txt", "\n\n".join(texts[:200]))
            self.held_out = self.path("held-out.txt")
            self.data = ["--data", data, "--lambda-task", "0", "--lambda-kd", "1", "--epochs", "1", "--sequence", "512",
                         "--batch-tokens", "1024"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def halves(self, path):
        """The text cut in two at the end of a line or a sentence."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        middle = len(text) // 2
        cut = next((at + 1 for at in range(middle, len(text)) if text[at] in "\n."), middle)
        return self.write("first.txt", text[:cut]), self.write("second.txt", text[cut:])

    def run(self, *words):
        """What a command says, as JSON; nothing where it refuses."""
        done = subprocess.run([self.program, *words, "--json", *self.more], check=False, capture_output=True, text=True)
        if done.returncode == 2:
            return None
        if done.returncode != 0:
            raise SystemExit(f"qat_table: {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def perplexity(self, path):
        return self.run("bench", path, "--perplexity", self.held_out, "-c", "256")["perplexity"]

    def quantised(self, row):
        """The least perplexity of all ways to quantise, and that way."""
        best = None
        for way in row.ways:
            for method in METHODS:
                how = [*row.quantize.split(), *way.split(), *method]
                told = self.run("quantize", self.model, self.path("q.gguf"), *how, "--search", "best", "--calibrate",
                                self.calibration, "--allow-requantize")
                if told is None:
                    continue
                found = (self.perplexity(self.path("q.gguf")), " ".join([method[1], way]).strip())
                best = found if best is None else min(best, found)
        return best

    def trained(self, row):
        """Perplexity, bits per weight, whether training helped."""
        told = self.run("train-qat", self.model, *self.data, *row.train.split(), "--out", self.path("t.gguf"))
        return self.perplexity(self.path("t.gguf")), told["bits_per_weight"], not told["kept_start"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("text", nargs="?")
    parser.add_argument("--bin", default="build/release/bin", help="folder of the programs")
    parser.add_argument("--megabytes", default=0.6, type=float, help="of stories, for the built-in model")
    parser.add_argument("--tokens", default=200000, type=int, help="that MODEL writes for itself")
    parser.add_argument("--only", default="", help="rows whose options hold this")
    parser.add_argument("--more", default="", help="options for every command, as -t 2")
    arguments = parser.parse_args()
    if bool(arguments.model) != bool(arguments.text):
        parser.error("a MODEL comes with a TEXT")
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(arguments, folder)
        full = lab.perplexity(lab.model)
        print(f"in full precision {full:.4f}\n")
        print(f"{'':48} {'bits/weight':>11} {'quantised':>10} {'trained':>10} {'of the gap closed':>18}", flush=True)
        for row in lab.rows:
            if arguments.only not in row.train:
                continue
            start = time.monotonic()
            before, way = lab.quantised(row)
            after, bits, helped = lab.trained(row)
            gap = before - full
            closed = f"{100 * (before - after) / gap:.0f} %" if gap > 0 else "there is none"
            note = f"{way}; {time.monotonic() - start:.0f} s" + ("" if helped else "; training did not help")
            print(f"{row.train:48} {bits:11.2f} {before:10.4f} {after:10.4f} {closed:>18}   ({note})", flush=True)


if __name__ == "__main__":
    main()
