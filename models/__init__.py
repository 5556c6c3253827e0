"""The models, one file for each family; `preset` knows published ones by name."""

from tinygrad_tx.models.bert import (
    BERT,
    BERTClassifier,
    BERTConfig,
    BERTEncoder,
    BERTReader,
    BERTTagger,
)
from tinygrad_tx.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from tinygrad_tx.models.gpt import GPT, GPTConfig
from tinygrad_tx.models.installed import from_package, read_tokenizer
from tinygrad_tx.models.llama import Llama, LlamaConfig
from tinygrad_tx.models.presets import PRESETS, abstract, build, preset
from tinygrad_tx.models.sentence import SentenceEncoder

__all__ = [
    "BERT",
    "GPT",
    "PRESETS",
    "BERTClassifier",
    "BERTConfig",
    "BERTEncoder",
    "BERTReader",
    "BERTTagger",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "GPTConfig",
    "Llama",
    "LlamaConfig",
    "SentenceEncoder",
    "abstract",
    "build",
    "from_package",
    "preset",
    "read_tokenizer",
]
