"""A classifier for scikit-learn: in its pipelines, searches and cross-validations.

Needs scikit-learn, which the extra `sklearn` brings; nothing else of this package loads it.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinygrad_tx.data import Examples
from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.models import FTTransformer, FTTransformerConfig
from tinygrad_tx.optim import cosine
from tinygrad_tx.tensor import Tensor, get_state, manual_seed, no_grad, set_state, softmax
from tinygrad_tx.train.brief import trained_by

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    remedy = "pip install 'tinygrad-tx[sklearn]'"
    raise ImportError(explain("estimators", str(error), remedy=remedy)) from None

__all__ = ["TransformerClassifier"]

ROWS = 64
"""Predicted at a time, always so many: what is said of a row does not depend on the others."""


class TransformerClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # without types
    """An FT-Transformer (Gorishniy et al. 2021) on standardised numeric features.

    width, layers, heads, dropout: of the transformer; its work grows with the square of the number
    of features. steps: of AdamW, `batch_size` rows each, at `learning_rate` on a cosine with
    warm-up. random_state: of weights, order and dropout; the same number gives the same bits.

    After `fit`: classes_, n_features_in_, mean_ and scale_ of features (those that do not vary
    have scale 1), weights_ by path, losses_ of each step in nats. `module()` is the model itself,
    to be drawn and looked into. Errors: ValueError, in scikit-learn's words.
    """

    def __init__(
        self,
        width: int = 32,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        steps: int = 300,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.layers = layers
        self.heads = heads
        self.dropout = dropout
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learns from rows X (rows, features) and their classes y (rows,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            what = f"all rows are of one class, {self.classes_[0]!r}"
            raise ValueError(explain("TransformerClassifier", what, remedy="give two at least"))
        if self.steps < 1 or self.batch_size < 1:
            what = f"steps {self.steps} and batch_size {self.batch_size} must be at least 1"
            raise ValueError(explain("TransformerClassifier", what))
        self.mean_ = X.mean(0)
        deviation = X.std(0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        model = FTTransformer(self._config(), seed)
        arrays = (self._standardised(X), codes.astype(np.int64))
        examples = Examples(arrays, min(self.batch_size, len(X)), seed)
        rate = cosine(self.learning_rate, self.steps, min(20, self.steps // 10))
        before = get_state()
        try:
            manual_seed(seed)
            self.losses_ = trained_by(model, examples.draw, self.steps, rate, self.weight_decay)
        finally:
            set_state(before)  # the random numbers of whoever calls are not ours to move
        self.weights_ = model.state_dict()
        self._make(model)
        return self

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:
        """Probabilities (rows, classes), in the order of classes_."""
        check_is_fitted(self)
        X = self._standardised(validate_data(self, X, dtype=np.float64, reset=False))
        padded = np.zeros((len(X) + -len(X) % ROWS, X.shape[1]), np.float32)
        padded[: len(X)] = X
        parts = [self._probabilities(rows).numpy() for rows in padded.reshape(-1, ROWS, X.shape[1])]
        return np.concatenate(parts)[: len(X)].astype(np.float64)

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The most probable class of each row."""
        probabilities = self.predict_proba(X)
        found: np.ndarray[Any, Any] = self.classes_[probabilities.argmax(1)]
        return found

    def module(self) -> FTTransformer:
        """The trained model, on standardised rows: `tx.draw(c.module(), ..., inputs=(rows,))`."""
        check_is_fitted(self)
        model: FTTransformer = self._module
        return model

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        return {k: v for k, v in state.items() if k not in ("_module", "_probabilities")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "weights_"):
            model = FTTransformer(self._config())
            model.load_state_dict(self.weights_)
            self._make(model)

    def _config(self) -> FTTransformerConfig:
        try:
            return FTTransformerConfig(
                self.n_features_in_,
                len(self.classes_),
                int(self.layers),
                int(self.heads),
                int(self.width),
                self.dropout,
            )
        except ShapeError as error:
            raise ValueError(str(error)) from None

    def _standardised(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        standardised: np.ndarray[Any, Any] = (X - self.mean_) / self.scale_
        return standardised.astype(np.float32)

    def _make(self, model: FTTransformer) -> None:
        """What `predict` runs."""

        def probabilities(rows: Tensor) -> Tensor:
            with no_grad():
                return softmax(model(rows), axis=-1)

        self._module = model.eval()
        self._probabilities = jit(probabilities)
