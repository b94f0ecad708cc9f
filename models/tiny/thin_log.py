#!/usr/bin/env python3
"""Prints a training log of train-qat shortened: the mean loss of every 50 steps, and the evaluations as they stand."""

import json
import sys

STEPS = 50

block = []
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        row = json.loads(line)
        if "step" not in row:
            print(json.dumps(row))
            continue
        block.append(row)
        if row["step"] % STEPS == 0:
            print(json.dumps({"step": row["step"], "loss": round(sum(r["loss"] for r in block) / len(block), 4),
                              "gradient_norm": round(sum(r["gradient_norm"] for r in block) / len(block), 3),
                              "learning_rate": float(f"{row['learning_rate']:.3g}"),
                              "tokens": sum(r["tokens"] for r in block)}))
            block = []
