"""tinygrad-tx export: a trained run and published folders as files that onnxruntime runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models as tokenizers
from typer.testing import CliRunner

from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import CheckpointError, OnnxError
from tinygrad_tx.interop.onnx_check import run_onnx
from tinygrad_tx.models import (
    BERT,
    GPT,
    BERTConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    GPTConfig,
    Llama,
    LlamaConfig,
    SentenceEncoder,
    from_folder,
)

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.parity


def exported(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["export", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(*words: str) -> str:
    error = CliRunner().invoke(app, ["export", *words]).exception
    assert isinstance(error, (OnnxError, CheckpointError)), error
    return str(error)


def llama() -> Llama:
    return Llama(LlamaConfig(31, 16, 1, 2, 8))


def t5() -> EncoderDecoder:
    return EncoderDecoder(EncoderDecoderConfig(31, 16, 1, 1, 2, 8, form="t5"))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: GPT(GPTConfig(31, 16, 1, 2, 8, activation="gelu_tanh")), ["whole", "step"]),
        (llama, ["whole", "step"]),
        (lambda: BERT(BERTConfig(31, 16, 1, 2, 8)), ["whole", "both"]),
        (t5, ["whole", "encoder", "decoder"]),
    ],
    ids=["gpt2", "llama", "bert", "t5"],
)
def test_a_published_folder_of_any_family(make: Any, parts: list[str], tmp_path: Path) -> None:
    folder, out = tmp_path / "folder", tmp_path / "m.onnx"
    folder.mkdir()
    make().save_pretrained(folder)
    for part in parts:
        found = exported(str(folder), "--out", str(out), "--part", part)
        assert found["error"] < 1e-5
        assert found["weights"] is None
        assert next(iter(found["inputs"].values()))[0] == "batch"
    assert "it has whole" in refused(str(folder), "--out", str(out), "--part", "half")


def test_a_sentence_folder_gives_vectors(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    SentenceEncoder(BERTConfig(6, 16, 1, 2, 8)).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    words = {w: i for i, w in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b"))}
    Tokenizer(tokenizers.WordPiece(words, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
    found = exported(str(folder), "--out", str(tmp_path / "m.onnx"))
    assert found["outputs"] == {"vectors": ["batch", "8"]}
    assert found["error"] < 1e-5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "corpus.txt").write_text("to be or not to be, that is the question. " * 40)
    words = ["train", "--text", str(folder / "corpus.txt"), "--steps", "2", "--layers", "1"]
    words += ["--heads", "2", "--width", "16", "--context", "8", "--out", str(folder / "gpt")]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.stdout
    return folder / "gpt"


def test_a_trained_run(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "gpt.onnx"
    done = CliRunner().invoke(app, ["export", str(trained), "--out", str(out)])
    assert "Written: gpt.onnx: tokens (batch x time) -> logits (batch x time x" in done.stdout
    assert "In onnxruntime: " in done.stdout
    (logits,) = run_onnx(out, [np.zeros((3, 5), np.int64)])
    assert logits.shape[:2] == (3, 5)
    fixed = exported(str(trained), "--out", str(out), "--fixed")
    assert (fixed["inputs"], fixed["error"]) == ({"tokens": ["1", "8"]}, None)
    apart = exported(str(trained), "--out", str(out), "--external", "--no-check")
    assert Path(apart["weights"]).is_file()
    assert apart["error"] is None


def test_bad_input_is_one_clear_line_and_writes_nothing(trained: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "m.onnx")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text('{"model_type": "mamba"}')
    before = sorted(tmp_path.rglob("*"))
    assert "nowhere" in refused(str(tmp_path / "nowhere"), "--out", out)
    assert "of type 'mamba'; known are gpt2, bert" in refused(
        str(tmp_path / "folder"), "--out", out
    )
    assert "there is no folder" in refused(str(trained), "--out", str(tmp_path / "no" / "m.onnx"))
    assert "opset 5 is not 18" in refused(str(trained), "--out", out, "--opset", "5")
    assert "has no part 'encoder'" in refused(str(trained), "--out", out, "--part", "encoder")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_differs_is_not_passed_over(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinygrad_tx.cli.export.compare_onnx", lambda *_: float("nan"))
    assert "onnxruntime differs" in refused(str(trained), "--out", str(tmp_path / "m.onnx"))


def test_what_is_not_installed_is_said_or_passed_over(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "m.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert exported(str(trained), "--out", out)["error"] is None
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert "pip install 'tinygrad-tx[interop]'" in refused(str(trained), "--out", out)


def test_a_folder_is_read_by_what_it_says(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path)
    assert isinstance(from_folder(tmp_path), Llama)
