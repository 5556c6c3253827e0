"""Text, tokens and batches, and the count model that a language model has to beat."""

from tinygrad_tx.data.batches import Windows, split
from tinygrad_tx.data.bigram import bigram_loss
from tinygrad_tx.data.corpus import default_text, read_text
from tinygrad_tx.data.pretrained import (
    PretrainedTokenizer,
    gguf_tokenizer,
    pretrained_tokenizer,
)
from tinygrad_tx.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    load_tokenizer,
    make_tokenizer,
)

__all__ = [
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "PretrainedTokenizer",
    "Tokenizer",
    "Windows",
    "bigram_loss",
    "default_text",
    "gguf_tokenizer",
    "load_tokenizer",
    "make_tokenizer",
    "pretrained_tokenizer",
    "read_text",
    "split",
]
