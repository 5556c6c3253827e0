"""Models with their tokenizers, out of files that others published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygrad_tx.data import PretrainedTokenizer, gguf_tokenizer, pretrained_tokenizer
from tinygrad_tx.models.llama import Llama
from tinygrad_tx.models.published.folder import Pretrained
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.models.published.packages import package_of, verified
from tinygrad_tx.models.sentence import SentenceEncoder

__all__ = ["from_package", "read_tokenizer"]

_KINDS: dict[str, type[Pretrained]] = {"Llama": Llama, "SentenceEncoder": SentenceEncoder}


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
