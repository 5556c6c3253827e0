"""Models with their tokenizers, out of files that others published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygrad_tx.data import PretrainedTokenizer, gguf_tokenizer, pretrained_tokenizer
from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.bert import BERT
from tinygrad_tx.models.encoder_decoder import EncoderDecoder
from tinygrad_tx.models.gpt import GPT
from tinygrad_tx.models.llama import Llama
from tinygrad_tx.models.published.folder import Pretrained, read_settings
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.models.published.packages import package_of, verified
from tinygrad_tx.models.sentence import SentenceEncoder
from tinygrad_tx.nn import Module

__all__ = ["from_folder", "from_package", "read_tokenizer"]

_KINDS: dict[str, type[Pretrained]] = {"Llama": Llama, "SentenceEncoder": SentenceEncoder}
_FAMILIES: tuple[type[Pretrained], ...] = (GPT, BERT, EncoderDecoder, Llama)


def from_folder(path: str | Path) -> Module:
    """The model in a Hugging Face folder or a GGUF file, whichever family it is of, ready to run.

    A folder with `sentence_bert_config.json` or `1_Pooling` is a SentenceEncoder.
    Errors: CheckpointError, also for a family that is not built here.
    """
    folder = Path(path)
    if folder.suffix == ".gguf":
        return Llama.from_pretrained(folder).eval()
    if (folder / "sentence_bert_config.json").is_file() or (folder / "1_Pooling").is_dir():
        return SentenceEncoder.from_pretrained(folder).eval()
    kind = read_settings(folder).get("model_type")
    for family in _FAMILIES:
        if family.family.model_type == kind:
            return family.from_pretrained(folder).eval()
    what = f"holds a model of type {kind!r}"
    known = ", ".join(family.family.model_type for family in _FAMILIES)
    raise CheckpointError(explain(str(path), what, remedy=f"known are {known}"))


def from_package(name: str) -> tuple[Any, PretrainedTokenizer]:
    """The model and its tokenizer out of an installed package, ready to run (dropout off).

    name: "minilm" (a SentenceEncoder) or "smollm2-135m-instruct" (a Llama), or the beginning of
    one. Sizes and digests of the files are checked. Errors: CheckpointError, which for a package
    that is not installed says how to get it; DataError.
    """
    package = package_of(name)
    path = verified(package)
    model = _KINDS[package.model].from_pretrained(path).eval()
    return model, read_tokenizer(path)


def read_tokenizer(path: str | Path) -> PretrainedTokenizer:
    """The tokenizer of a GGUF file, or of a Hugging Face folder.

    Errors: CheckpointError, DataError.
    """
    if Path(path).suffix == ".gguf":
        return gguf_tokenizer(read_gguf(path).metadata, str(path))
    return pretrained_tokenizer(path)
