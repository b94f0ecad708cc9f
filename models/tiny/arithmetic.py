"""Arithmetic with small numbers, in figures and in words, and little problems with their steps."""

import words
from grammar import capital, fill

NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
           "eighteen nineteen twenty").split()
_THINGS = ["apples", "balls", "books", "coins", "cookies", "eggs", "flowers", "pears", "stones", "shells", "cards", "nuts",
           "pencils", "balloons", "plums", "stars"]


def _calculation(dice):
    kind = dice.weighted([(5, "+"), (4, "-"), (3, "*"), (1, "/")])
    if kind == "+":
        a, b = (dice.between(0, 10), dice.between(0, 10)) if dice.chance(0.6) else (dice.between(0, 50), dice.between(0, 49))
        return a, b, a + b, "+", "plus"
    if kind == "-":
        a = dice.between(0, 20) if dice.chance(0.7) else dice.between(0, 99)
        b = dice.between(0, a) if a <= 20 else dice.between(0, min(a, 20))
        return a, b, a - b, "-", "minus"
    if kind == "*":
        a, b = dice.between(0, 10), dice.between(0, 10)
        return a, b, a * b, "*", "times"
    b, result = dice.between(1, 10), dice.between(0, 10)
    return b * result, b, result, "/", "divided by"


def _calculate(dice):
    a, b, result, sign, word = _calculation(dice)
    fields = {"a": a, "b": b, "s": sign, "w": word, "r": result}
    if a <= 20 and b <= 20 and result <= 20 and dice.chance(0.15):
        fields.update(A=NUMBERS[a], B=NUMBERS[b], R=NUMBERS[result])
        return fill("What is {A} {w} {B}?", dice, fields), capital(fill("{A} {w} {B} is {R}.", dice, fields))
    question = fill("[What is {a} {s} {b}?|What is {a} {s} {b}?|How much is {a} {s} {b}?|{a} {s} {b}|{a} {s} {b} =|{a}{s}{b}|{a}{s}"
                    "{b}=?|What is {a} {w} {b}?|Calculate {a} {s} {b}.|Can you tell me what {a} {s} {b} is?|What's {a}{s}{b}?]",
                    dice, fields)
    return question, fill("{a} {s} {b} = {r}.", dice, fields)


def _problem(dice):
    name, other = dice.some(words.GIRLS + words.BOYS, 2)
    he = "She" if name in words.GIRLS else "He"
    a, b = dice.between(2, 12), dice.between(1, 9)
    things = dice.pick(_THINGS)
    fields = {"n": name, "o": other, "he": he, "a": a, "b": b, "t": things, "s": a + b}
    if dice.chance(0.5):
        return (fill("{n} has {a} {t}. [{o} gives {n} {b} more|{he} gets {b} more|{he} finds {b} more]. How many {t} does {n} "
                     "have[| now]?", dice, fields), fill("{a} + {b} = {s}. {n} has {s} {t}.", dice, fields))
    a += b
    fields.update(a=a, s=a - b)
    return (fill("{n} has {a} {t}. [{he} gives {b} of them to {o}|{he} loses {b}|{he} gives {b} away]. How many {t} [does {n} "
                 "have|are left]?", dice, fields), fill("{a} - {b} = {s}. {n} has {s} {t} left.", dice, fields))


def _compare(dice):
    a, b = dice.some(range(100), 2)
    low, high = min(a, b), max(a, b)
    return dice.pick([
        (f"Which is bigger, {a} or {b}?", f"{high} is bigger than {low}."),
        (f"Which number is larger, {a} or {b}?", f"{high} is larger than {low}."),
        (f"Which is smaller, {a} or {b}?", f"{low} is smaller than {high}."),
        (f"Is {a} bigger than {b}?", f"{'Yes' if a > b else 'No'}, {a} is {'bigger' if a > b else 'smaller'} than {b}.")])


def _sequence(dice):
    step = dice.pick([1, 1, 1, 2, 5, 10])
    start = dice.between(1, 20) if step == 1 else step * dice.between(0, 3)
    numbers = [start + i * step for i in range(dice.between(4, 10))]
    if dice.chance(0.5):
        by = "" if step == 1 else f" by {step}"
        return (f"Count from {numbers[0]} to {numbers[-1]}{by}.", ", ".join(map(str, numbers)) + ".")
    shown = numbers[:4]
    return (f"What comes next: {', '.join(map(str, shown))}?", f"Next comes {shown[-1] + step}.")


def _small(dice):
    n = dice.between(0, 50)
    small = dice.between(0, 20)
    return dice.pick([
        (f"Is {n} even or odd?", f"{n} is {'odd' if n % 2 else 'even'}."),
        (f"What is the double of {n}?", f"The double of {n} is {2 * n}."),
        (f"What is half of {2 * n}?", f"Half of {2 * n} is {n}."),
        (f"What number comes after {n}?", f"{n + 1} comes after {n}."),
        (f"What number comes before {n + 1}?", f"{n} comes before {n + 1}."),
        (f"Write {small} as a word.", f"{capital(NUMBERS[small])}."),
        (f"Write {NUMBERS[small]} as a number.", f"{small}."),
        (f"What is the sum of {small} and {n}?", f"The sum of {small} and {n} is {small + n}.")])


def _sort(dice):
    numbers = dice.some(range(1, 30), dice.between(3, 4))
    return (fill("[Sort these numbers|Put these numbers in order]: ", dice) + " " + ", ".join(map(str, numbers)) + ".",
            ", ".join(map(str, sorted(numbers))) + ".")


KINDS = [(7, _calculate), (3, _problem), (2, _compare), (2, _sequence), (2, _small), (1, _sort)]


def question(dice):
    """(question, answer)"""
    return dice.weighted(KINDS)(dice)
