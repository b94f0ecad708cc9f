"""Templates to text: `[one|two|three]` becomes one of the three, `{name}` what the caller says it is.

Brackets nest. All chance comes from a Dice, which rests on nothing but random.Random.random(), whose numbers Python
promises to keep for a seed; so a seed gives the same text, byte for byte, with every version of Python 3.
"""

import random
import re

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_FIELD = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])")


class Dice:
    def __init__(self, seed):
        self._random = random.Random(seed)

    def below(self, n):
        """A whole number from 0 to n - 1."""
        return int(self._random.random() * n)

    def between(self, low, high):
        """A whole number from low to high."""
        return low + self.below(high - low + 1)

    def chance(self, probability):
        return self._random.random() < probability

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def some(self, choices, n):
        """n different ones, in random order."""
        pool = list(choices)
        for i in range(n):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:n]

    def weighted(self, rows):
        """One of (weight, value) rows."""
        at = self._random.random() * sum(weight for weight, _ in rows)
        for weight, value in rows:
            at -= weight
            if at < 0:
                return value
        return rows[-1][1]


def fill(template, dice, fields=None):
    """The template with alternatives chosen and fields put in; `a` before a vowel becomes `an`."""
    choose = lambda match: dice.pick(match.group(1).split("|"))
    text, n_changes = template, 1
    while n_changes:
        text, n_changes = _INNERMOST.subn(choose, text)
    if fields:
        text = _FIELD.sub(lambda match: str(fields[match.group(1)]), text)
    text = _ARTICLE.sub(r"\1n ", text)
    return re.sub(r" +", " ", text).strip()


def capital(text):
    return text[:1].upper() + text[1:]


def join_list(words):
    """One, two and three."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
