"""SentenceEncoder: a text as one vector, so that texts that mean the same lie close together.

Reimers and Gurevych 2019, section 3: BERT's hidden states, averaged over the real tokens.

    h = BERT(tokens)                                       (batch, time, width)
    u = sum_t m_t h_t / sum_t m_t,  e = u / |u|            (batch, width), m_t: t is a real token
    similarity of two texts: e e', the cosine of the angle between them
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from tinygrad_tx.data import PretrainedTokenizer, pretrained_tokenizer
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.models.bert import BERTConfig, BERTEncoder, example_of
from tinygrad_tx.models.published.bert import ENCODER
from tinygrad_tx.models.published.folder import Pretrained, read_optional
from tinygrad_tx.tensor import Tensor, maximum, no_grad, rsqrt
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["SentenceEncoder"]

Array = np.ndarray[Any, Any]
ROWS = 16  # texts at once; one text goes by itself
SHORTEST = 16  # texts are padded to this many tokens, or twice that, four times, ...


class SentenceEncoder(Pretrained):
    """`encoder(tokens, mask)` gives unit vectors (batch, width); `encoder.encode(texts)` too."""

    family, config_class = ENCODER, BERTConfig

    def __init__(self, config: BERTConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.encoder = BERTEncoder(config, np.random.default_rng(seed))
        self.tokenizer: PretrainedTokenizer | None = None
        self.longest = config.context
        self._captured = jit(self.forward)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """The model in a folder of sentence-transformers, or of BERT alone; with its tokenizer.

        Errors: CheckpointError, also for a folder that pools in another way; DataError.
        """
        folder = Path(path)
        pooling = read_optional(folder / "1_Pooling" / "config.json")
        other = [k for k, v in pooling.items() if k.startswith("pooling_mode_") and v is True]
        if other not in ([], ["pooling_mode_mean_tokens"]):
            what = f"pools by {', '.join(other)}, not by the mean of its tokens"
            raise CheckpointError(explain(str(folder), what))
        model = super().from_pretrained(folder)
        model.tokenizer = pretrained_tokenizer(folder)
        longest = read_optional(folder / "sentence_bert_config.json").get("max_seq_length")
        if isinstance(longest, int) and 2 < longest < model.longest:
            model.longest = longest
        return model

    def forward(self, tokens: TensorLike, mask: TensorLike) -> Tensor:
        """Shapes: tokens and mask (true: a real token) (batch, time) -> (batch, width)."""
        hidden = self.encoder(tokens, None, mask)
        real = as_tensor(mask).astype(hidden.dtype)[:, :, None]  # (batch, time, 1)
        mean = (hidden * real).sum(1) / maximum(real.sum(1), 1.0)  # (batch, width)
        vectors: Tensor = mean * rsqrt(maximum((mean * mean).sum(-1, keepdims=True), 1e-24))
        return vectors

    def encode(self, texts: str | Sequence[str]) -> Array:
        """Unit vectors of texts, (texts, width) float32; their products are cosines.

        Texts beyond `longest` tokens lose their end. They are taken in order of length, in batches
        of a few shapes, each recorded once. Errors: DataError for a model without a tokenizer.
        """
        if self.tokenizer is None:
            remedy = "load it with from_pretrained, or set encoder.tokenizer"
            raise DataError(explain("SentenceEncoder", "it has no tokenizer", remedy=remedy))
        given = [texts] if isinstance(texts, str) else list(texts)
        found = self.tokenizer.encode_all(given, self.longest)
        order = np.argsort([len(ids) for ids in found], kind="stable")
        vectors = np.empty((len(found), self.config.width), np.float32)
        was_training = self.training
        self.eval()
        try:
            for start in range(0, len(order), ROWS):
                rows = order[start : start + ROWS]
                vectors[rows] = self._batch([found[i] for i in rows])
        finally:
            self.train(was_training)
        return vectors

    def _batch(self, found: Sequence[Array]) -> Array:
        """Vectors of at most ROWS texts, padded to one of the shapes that are recorded."""
        time = SHORTEST
        while time < max(map(len, found)):
            time *= 2
        shape = (1 if len(found) == 1 else ROWS, min(time, self.longest))
        tokens, mask = np.zeros(shape, np.int64), np.zeros(shape, bool)
        for row, ids in enumerate(found):
            tokens[row, : len(ids)], mask[row, : len(ids)] = ids, True
        with no_grad():
            vectors: Array = self._captured(tokens, mask).numpy()
        return vectors[: len(found)]

    def similarity(self, texts: str | Sequence[str], others: str | Sequence[str]) -> Array:
        """The cosine of every text with every other one: (texts, others), -1 to 1."""
        cosines: Array = self.encode(texts) @ self.encode(others).T
        return cosines

    def example(self) -> tuple[Array, ...]:
        """Arguments of the right shapes, for a drawing."""
        tokens, _, mask = example_of(self.config)
        return tokens, mask
