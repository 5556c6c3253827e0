"""The gallery shows what the code draws now, and its diagrams are those of the field's figures."""

from __future__ import annotations

import itertools
import json
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tinygrad_tx.viz.picture import Picture

ROOT = Path(__file__).parent.parent
MADE = runpy.run_path(str(ROOT / "docs" / "make_gallery.py"))
ENTRIES = {e.name: e for found in MADE["entries"]().values() for e in found}
PINNED = [name for name, entry in ENTRIES.items() if entry.pinned]
FOLDER = ROOT / "docs" / "gallery"
HOW = "run: python docs/make_gallery.py"


def picture_of(name: str) -> Picture:
    found: Any = ENTRIES[name].make()
    picture: Picture = found.picture
    return picture


def arrows(picture: Picture) -> set[tuple[str, str]]:
    """What the boxes at the ends say, title and second line; shared weights left out."""
    name = {key: " ".join((b.title, *b.lines[:1])) for key, b in picture.boxes.items()}
    return {(name[a.source], name[a.target]) for a in picture.arrows if a.link == "flow"}


@pytest.mark.parametrize("name", MADE["PAGES"])
def test_the_pages_are_what_the_command_writes(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == MADE["pages"]()[name], HOW


def test_every_picture_stands_in_the_folder() -> None:
    for name in ENTRIES:
        assert ET.parse(FOLDER / f"{name}.svg").getroot().tag.endswith("svg"), name
    assert {p.stem for p in FOLDER.glob("*.svg")} == ENTRIES.keys()


@pytest.mark.parametrize("name", PINNED)
def test_the_picture_is_what_the_code_draws_now(name: str) -> None:
    digests = json.loads((FOLDER / "digests.json").read_text())
    assert MADE["digest_of"](ENTRIES[name].make()) == digests[name], f"{HOW} {name}"


def test_attention_is_figure_2_of_its_paper() -> None:
    found = arrows(picture_of("attention"))
    chain = ["MatMul scores", "Scale", "Softmax pattern", "MatMul context", "Linear projection"]
    assert {("Query", chain[0]), ("Key", chain[0]), ("Value", "MatMul context")} <= found
    assert set(itertools.pairwise(chain)) <= found
    assert {("Linear qkv", part) for part in ("Query", "Key", "Value")} <= found


def test_the_encoder_block_adds_and_normalises_twice() -> None:
    picture = picture_of("encoder-block")
    found = arrows(picture)
    signs = [b for b in picture.boxes.values() if b.title == "+"]
    assert len(signs) == 2
    norms = ("Layer Norm attention norm", "Layer Norm feed forward norm")
    assert [b.role for b in picture.boxes.values()].count("norm") == 2
    into = {target: source for source, target in found if target in norms}
    assert all(source == "+" for source in into.values())


def test_each_decoder_block_attends_to_the_encoder() -> None:
    picture = picture_of("encoder-decoder")
    sides = {frame[0] for frame in picture.frames}
    assert sides == {"encoder", "decoder"}
    assert "Encoder Block  × 6" in picture.frames.values()
    assert "Decoder Block  × 6" in picture.frames.values()
    across = [
        a
        for a in picture.arrows
        if a.link == "flow"
        and picture.boxes[a.source].frame[:1] == ("encoder",)
        and picture.boxes[a.target].frame[:1] == ("decoder",)
    ]
    assert [picture.boxes[a.target].title for a in across] == ["Cross Attention"]


def test_bert_has_both_heads_on_one_encoder() -> None:
    picture = picture_of("bert")
    outputs = [b for b in picture.boxes.values() if b.role == "output"]
    assert {b.lines[0].split("×")[-1] for b in outputs} == {"1000", "2"}
    assert {"Masked Word Head", "Pooler", "BERT Encoder"} <= set(picture.frames.values())
    tied = [a for a in picture.arrows if a.link == "tied"]
    assert [picture.boxes[a.source].title for a in tied] == ["Embedding"]


def test_shared_positions_reach_every_block_of_t5() -> None:
    picture = picture_of("t5")
    found = [a for a in picture.arrows if "position" in ".".join(picture.boxes[a.source].frame)]
    ends = {picture.boxes[a.target].frame[0] for a in found}
    assert ends == {"encoder", "decoder"}
    assert all(picture.boxes[a.target].role == "attention" for a in found)


def test_llama_turns_queries_and_keys_and_not_values() -> None:
    found = arrows(picture_of("llama"))
    assert ("Rotary position", "Query") in found
    assert ("Rotary position", "Key") in found
    assert ("Linear qkv", "Value") in found
    assert ("Rotary position", "Value") not in found


def test_users_own_models_are_drawn_like_ours() -> None:
    mixer = picture_of("mixer")
    assert "Mixer Block  × 4" in mixer.frames.values()
    mlp = [b.title for b in picture_of("mlp").boxes.values()]
    assert mlp.count("Linear") == 3
    assert mlp.count("ReLU") == 2


@pytest.mark.parametrize("name", ["perceptron"])
def test_examples_do_what_they_say(name: str) -> None:
    assert runpy.run_path(str(ROOT / "docs" / "examples" / f"{name}.py"))["train"](150) > 0.9
