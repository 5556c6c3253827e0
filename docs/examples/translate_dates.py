"""An encoder-decoder that reads dates as people write them and writes 1998-03-07, by beam search.

    March 7, 1998      1998-03-07
    den 7.03.1998      1998-03-07
    le 7 mars 1998     1998-03-07

It reads characters and is told neither the language nor the form. Dates of the exam are in no
training text, whatever the form.
"""

from __future__ import annotations

import argparse
import datetime

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.data.units import CLS, FIRST, PAD, SEP

MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
FORMS = {
    "en": ("{month} {day}, {year}", "{day} {month} {year}", "{short} {day}, {yy}"),
    "de": ("{day}. {month} {year}", "{day}. {short} {yy}", "den {day}.{number:02}.{year}"),
    "fr": ("le {day} {month} {year}", "{day} {month} {yy}"),
}
START, END, NONE = CLS, SEP, -100
READ, WRITTEN = 26, 11
"""The longest source and target, in characters without spaces."""


def written(date: datetime.date, rng: np.random.Generator) -> str:
    """The date in some language and form."""
    language = str(rng.choice(list(FORMS)))
    month = MONTHS[language].split()[date.month - 1]
    return str(rng.choice(FORMS[language])).format(
        day=date.day, month=month, short=month[:3], number=date.month, year=date.year,
        yy=f"{date.year % 100:02}",
    )  # fmt: skip


def examples(count: int, of_exam: bool, rng: np.random.Generator) -> list[tuple[str, str]]:
    """(text, ISO form), of dates from 1950 to 2049; every tenth day belongs to the exam."""
    found = []
    while len(found) < count:
        number = int(rng.integers(36_524))
        date = datetime.date(1950, 1, 1) + datetime.timedelta(days=number)
        if (number % 10 == 0) == of_exam:
            found.append((written(date, rng), date.isoformat()))
    return found


def padded(rows: list[list[int]], time: int, value: int) -> np.ndarray:
    return np.array([row[:time] + [value] * (time - len(row)) for row in rows])


def by_rule(text: str) -> str:
    """What one would try first: the digits, turned round."""
    numbers = "".join(c if c.isdigit() else " " for c in text).split()
    day, year = (numbers[0], numbers[-1]) if len(numbers) > 1 else ("0", "0")
    month = numbers[1] if len(numbers) > 2 else "01"
    century = "" if len(year) == 4 else ("19" if int(year) >= 50 else "20")
    return f"{century}{year}-{int(month):02}-{int(day):02}"


def main(steps: int, width: int, asked: int) -> None:
    rng = np.random.default_rng(0)
    learnt = examples(20_000, False, rng)
    exam = examples(asked, True, rng)
    units = tx.data.CharacterUnits.train((t for pair in learnt for t in pair), 200)
    source = padded([units.encode(text) for text, _ in learnt], READ, PAD)
    answers = [units.encode(iso) for _, iso in learnt]
    # Teacher forcing: the decoder reads the answer one place late, and is asked for what comes.
    target = padded([[START, *a] for a in answers], WRITTEN, PAD)
    targets = padded([[*a, END] for a in answers], WRITTEN, NONE)
    config = tx.models.EncoderDecoderConfig(
        units.vocab_size, context=32, encoder_layers=2, decoder_layers=2, width=width, dropout=0.0
    )
    model = tx.models.EncoderDecoder(config)
    optimizer = tx.optim.AdamW(model.parameters(), weight_decay=0.01)
    rate = tx.optim.linear(2e-3, steps, warmup=steps // 10)

    @tx.jit
    def step(*batch: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(*batch)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    for number in range(steps):
        optimizer.lr = rate(number)
        rows = rng.integers(0, len(source), 32)
        loss = step(source[rows], target[rows], targets[rows], source[rows] != PAD)
        if number % max(1, steps // 6) == 0:
            print(f"step {number:5}  loss {loss.item():.3f}")

    model.eval()
    right = ruled = 0
    for number, (text, iso) in enumerate(exam):
        # Four texts are followed side by side, and the likeliest whole one is taken.
        tokens = model.generate(units.encode(text), WRITTEN, start=START, beams=4, stop=[END])
        answer = "".join(units.alphabet[t - FIRST] if t >= FIRST else "?" for t in tokens)
        right += answer == iso
        ruled += by_rule(text) == iso
        if number < 6:
            print(f"{text:26}  {answer}  {'' if answer == iso else f'wrong: {iso}'}")
    print(
        f"right of {asked} dates never read: {right / asked:.0%}; "
        f"digits turned round {ruled / asked:.0%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learns to read dates, and answers by beams.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=10, width=32, asked=4)
    else:
        main(steps=1500, width=64, asked=100)
