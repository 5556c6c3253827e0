"""The models, one file for each family; `preset` knows published ones by name."""

from typing import TYPE_CHECKING, Any

from tinygrad_tx.missing import of_package
from tinygrad_tx.models.bert import (
    BERT,
    BERTClassifier,
    BERTConfig,
    BERTEncoder,
    BERTReader,
    BERTTagger,
)
from tinygrad_tx.models.constraints import Balanced, Banned
from tinygrad_tx.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from tinygrad_tx.models.from_run import from_run
from tinygrad_tx.models.ft_transformer import FTTransformer, FTTransformerConfig
from tinygrad_tx.models.generation import Decoder, write_batch
from tinygrad_tx.models.gpt import GPT, GPTConfig
from tinygrad_tx.models.installed import from_folder, from_package, read_tokenizer
from tinygrad_tx.models.llama import Llama, LlamaConfig
from tinygrad_tx.models.presets import PRESETS, abstract, build, preset
from tinygrad_tx.models.sampling import Sampling
from tinygrad_tx.models.sentence import SentenceEncoder
from tinygrad_tx.models.speculative import speculative
from tinygrad_tx.models.writing import write

if TYPE_CHECKING:
    from tinygrad_tx.models.to_onnx import save_onnx

__all__ = [
    "BERT",
    "GPT",
    "PRESETS",
    "BERTClassifier",
    "BERTConfig",
    "BERTEncoder",
    "BERTReader",
    "BERTTagger",
    "Balanced",
    "Banned",
    "Decoder",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "FTTransformer",
    "FTTransformerConfig",
    "GPTConfig",
    "Llama",
    "LlamaConfig",
    "Sampling",
    "SentenceEncoder",
    "abstract",
    "build",
    "from_folder",
    "from_package",
    "from_run",
    "preset",
    "read_tokenizer",
    "save_onnx",
    "speculative",
    "write",
    "write_batch",
]

_missing = of_package(__name__, __all__)

if not TYPE_CHECKING:  # else a type checker would take every name for there

    def __getattr__(name: str) -> Any:
        """`save_onnx`, loaded where it is first used: what trains does not wait for ONNX."""
        if name == "save_onnx":
            from tinygrad_tx.models.to_onnx import save_onnx

            return save_onnx
        return _missing(name)
