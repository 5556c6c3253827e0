"""Files that PyTorch writes, with both of its exporters, against the modules they came from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.interop import read_onnx
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.render import Drawing

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
torch: Any = pytest.importorskip("torch")

pytestmark = [pytest.mark.parity, pytest.mark.slow]

LAYERS, WIDTH, HIDDEN, VOCAB, CLASSES = 3, 32, 64, 50, 5
TIME = 7


def classifier() -> Any:
    """Embedding, encoder, and a head of two layers; no two weights are equal."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(WIDTH, 4, HIDDEN, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
    head = torch.nn.Sequential(
        torch.nn.Linear(WIDTH, 16), torch.nn.GELU(), torch.nn.Linear(16, CLASSES)
    )

    class Classifier(torch.nn.Module):  # type: ignore[misc]  # torch counts as untyped
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(VOCAB, WIDTH)
            self.encoder, self.head = encoder, head

        def forward(self, tokens: Any) -> Any:
            return self.head(self.encoder(self.embedding(tokens)))

    made = Classifier().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()  # exporters store equal weights once
    return made


@pytest.fixture(scope="module", params=[True, False], ids=["dynamo", "torchscript"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("torch") / "classifier.onnx"
    batch, names = torch.export.Dim("batch"), {"input_names": ["tokens"]}
    example = (torch.zeros(2, TIME, dtype=torch.long),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        if request.param:
            sizes = {"dynamic_shapes": ({0: batch},)}
        else:
            sizes = {"dynamic_axes": {"tokens": {0: "batch"}}}
        torch.onnx.export(classifier(), example, path, dynamo=request.param, **names, **sizes)
    return path


def drawn(path: Path, **options: Any) -> Picture:
    drawing = tx.draw(path, **options)
    assert isinstance(drawing, Drawing)
    return drawing.picture


def test_equal_layers_are_drawn_once(exported: Path) -> None:
    picture = drawn(exported, depth=2)
    layer = next(frame for frame in picture.frames if len(frame) == 2)
    assert picture.frames[layer].endswith(f"  × {LAYERS}")
    inside = [b for b in picture.boxes.values() if b.frame == layer]
    parts = [(b.lines or (b.title.lower(),))[0] for b in inside if b.role != "sign"]
    assert parts == ["self attn", "norm1", "linear1", "relu", "linear2", "norm2"]
    assert sum(b.title == "+" for b in inside) == 2


def test_roles_are_those_of_the_modules(exported: Path) -> None:
    roles = {b.key.rpartition(".")[2]: b.role for b in drawn(exported, depth=2).boxes.values()}
    assert roles["self_attn"] == "attention"
    assert (roles["norm1"], roles["linear1"]) == ("norm", "product")


def test_parameters_are_those_of_the_module(exported: Path) -> None:
    graph = read_onnx(exported)
    total = sum(p.numel() for p in classifier().parameters())
    assert sum(leaf.aval.size for leaf in graph.parameters) == total


def test_work_of_a_layer_agrees_with_a_count_by_hand(exported: Path) -> None:
    tokens = np.zeros((2, TIME), np.int64)
    picture = drawn(exported, depth=2, overlay="flops", inputs=(tokens,))
    (up,) = (b for b in picture.boxes.values() if b.key.endswith("layers.0.linear1"))
    rows = 2 * TIME
    by_hand = 2 * rows * WIDTH * HIDDEN + rows * HIDDEN
    assert up.lines[-1] == f"{by_hand / 1e3:.3g} kFLOP"
