"""A BERT classifier that reads the mean of a text's hidden states instead of its first token's."""

from __future__ import annotations

from tinygrad_tx.models import BERTClassifier
from tinygrad_tx.tensor import Tensor, tanh
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["MeanClassifier"]


class MeanClassifier(BERTClassifier):
    """Logits (batch, classes) of the mean over real tokens.

    Hidden words alone never train what [CLS] says of a text. Source: Reimers and Gurevych 2019,
    section 3.
    """

    def forward(
        self, tokens: TensorLike, segments: TensorLike = None, mask: TensorLike = None
    ) -> Tensor:
        hidden = self.encoder(tokens, segments, mask)  # (batch, time, width)
        if mask is None:
            mean = hidden.mean(1)
        else:
            real = as_tensor(mask).astype(hidden.dtype)[:, :, None]
            mean = (hidden * real).sum(1) / real.sum(1)
        logits: Tensor = self.classifier(self.dropout(tanh(self.pooler.dense(mean))))
        return logits
