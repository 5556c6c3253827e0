"""Text, tokens and batches, and the count model that a language model has to beat.

Read batches.py and examples.py (what a step takes), tokenizers.py (text to tokens); prepare.py
with token_set.py is for what is larger than memory, the other files are texts and where they come
from.
"""

from tinygrad_tx.data.batches import Batch, Batches, Windows, split
from tinygrad_tx.data.bigram import bigram_loss
from tinygrad_tx.data.corpus import default_text, read_text
from tinygrad_tx.data.examples import Change, Examples
from tinygrad_tx.data.masking import hide_words
from tinygrad_tx.data.permutation import Permutation
from tinygrad_tx.data.planted_reviews import PlantedReviews, planted_reviews
from tinygrad_tx.data.prepare import Preparation, prepare
from tinygrad_tx.data.pretrained import (
    PretrainedTokenizer,
    gguf_tokenizer,
    pretrained_tokenizer,
)
from tinygrad_tx.data.skewed import BALANCED, SKEWED, Skew, SkewedText, skewed_text
from tinygrad_tx.data.sources import SUFFIXES
from tinygrad_tx.data.token_set import TokenSet, TokenSide
from tinygrad_tx.data.token_windows import Mixture, TokenWindows
from tinygrad_tx.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    load_tokenizer,
    make_tokenizer,
)
from tinygrad_tx.data.units import CharacterUnits, Units, WordPieces, WordUnits, framed
from tinygrad_tx.missing import of_package

__all__ = [
    "BALANCED",
    "SKEWED",
    "SUFFIXES",
    "BPETokenizer",
    "Batch",
    "Batches",
    "ByteTokenizer",
    "Change",
    "CharTokenizer",
    "CharacterUnits",
    "Examples",
    "Mixture",
    "Permutation",
    "PlantedReviews",
    "Preparation",
    "PretrainedTokenizer",
    "Skew",
    "SkewedText",
    "TokenSet",
    "TokenSide",
    "TokenWindows",
    "Tokenizer",
    "Units",
    "Windows",
    "WordPieces",
    "WordUnits",
    "bigram_loss",
    "default_text",
    "framed",
    "gguf_tokenizer",
    "hide_words",
    "load_tokenizer",
    "make_tokenizer",
    "planted_reviews",
    "prepare",
    "pretrained_tokenizer",
    "read_text",
    "skewed_text",
    "split",
]

__getattr__ = of_package(__name__, __all__)
