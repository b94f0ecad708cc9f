#!/usr/bin/env python3
"""Writes the text that the built-in model is trained on: generate.py FOLDER [--seed N] [--megabytes X]

FOLDER/stories.jsonl   {"text": ...}       small stories
FOLDER/chats.jsonl     {"messages": [...]} conversations
FOLDER/held-out.jsonl  a little of both, from another seed, to measure with
FOLDER/held-out.txt    the stories of held-out.jsonl as plain text, for bench --perplexity

The same seed and size give the same bytes with every version of Python 3. Only the standard library is used.
"""

import argparse
import json
import os

import chats
import stories
from grammar import Dice

STORY_SHARE = 0.3          # of the characters
CHAT_CHARACTERS = (40, 1500)  # lengths of conversations, shortest and longest


def chat_line(dice):
    low, high = CHAT_CHARACTERS
    share = dice.below(1000) / 1000
    return json.dumps({"messages": chats.conversation(dice, low + share * share * (high - low))})


def story_line(dice):
    return json.dumps({"text": stories.document(dice)})


def write_lines(path, make_line, dice, n_bytes):
    """Lines until the file has n_bytes, under another name until it is whole."""
    part = path + ".part"
    with open(part, "w", encoding="ascii", newline="\n") as file:
        while n_bytes > 0:
            n_bytes -= file.write(make_line(dice) + "\n")
    os.replace(part, path)


def main():
    parser = argparse.ArgumentParser(description="Write the training text of the built-in model.")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=float, default=40)
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    total = int(arguments.megabytes * 1e6)
    inside = lambda name: os.path.join(arguments.folder, name)
    n_stories = int(total * STORY_SHARE)
    write_lines(inside("stories.jsonl"), story_line, Dice(arguments.seed), n_stories)
    write_lines(inside("chats.jsonl"), chat_line, Dice(arguments.seed + 1_000_000), total - n_stories)

    dice = Dice(arguments.seed + 2_000_000)
    held_out = [stories.document(dice) for _ in range(100)]
    with open(inside("held-out.txt"), "w", encoding="ascii", newline="\n") as file:
        file.write("\n\n".join(held_out) + "\n")
    with open(inside("held-out.jsonl"), "w", encoding="ascii", newline="\n") as file:
        for text in held_out:
            file.write(json.dumps({"text": text}) + "\n")
        for _ in range(200):
            file.write(chat_line(dice) + "\n")


if __name__ == "__main__":
    main()
