"""The classifier keeps scikit-learn's contract, learns, and is what it says it is."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import tinygrad_tx as tx
from tinygrad_tx.estimators import TransformerClassifier

pytestmark = pytest.mark.parity


@pytest.mark.filterwarnings("ignore")  # its own checks warn of what it does on purpose
@parametrize_with_checks([TransformerClassifier(steps=60, width=16, layers=1, random_state=0)])
def test_scikit_learn_finds_it_an_estimator(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_it_learns_a_real_table() -> None:
    """Always saying the commonest class would be right in 40 %."""
    X, y = load_wine(return_X_y=True)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(TransformerClassifier(steps=80, random_state=0), X, y, cv=folds)
    assert scores.mean() > 0.93


def test_in_a_pipeline_and_a_search_the_classes_keep_their_names() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 3, 16:32], np.array(["zero", "one", "two"])[y[y < 3]]
    model = TransformerClassifier(steps=40, width=16, layers=1, random_state=0)
    steps = make_pipeline(MinMaxScaler(), model)
    search = GridSearchCV(steps, {"transformerclassifier__learning_rate": [1e-5, 3e-3]}, cv=2)
    search.fit(X, y)
    assert search.best_params_ == {"transformerclassifier__learning_rate": 3e-3}
    assert list(search.classes_) == ["one", "two", "zero"]
    assert set(search.predict(X[:9])) <= {"one", "two", "zero"}


def test_a_state_gives_the_same_bits_pickled_or_not_and_moves_no_other_randomness() -> None:
    X, y = load_wine(return_X_y=True)
    tx.manual_seed(3)
    expected = tx.rand(4).numpy()
    tx.manual_seed(3)
    first = TransformerClassifier(steps=20, random_state=5).fit(X, y)
    np.testing.assert_array_equal(tx.rand(4).numpy(), expected)
    second = clone(first).fit(X, y)
    other = clone(first).set_params(random_state=6).fit(X, y)
    read = pickle.loads(pickle.dumps(first))
    for same in (second, read):
        np.testing.assert_array_equal(same.predict_proba(X), first.predict_proba(X))
    assert (other.predict_proba(X) != first.predict_proba(X)).any()


def test_what_is_said_of_a_row_does_not_depend_on_the_others() -> None:
    X, y = load_wine(return_X_y=True)
    fitted = TransformerClassifier(steps=20, random_state=5).fit(X, y)
    whole = fitted.predict_proba(X)
    for rows in ([0], [5, 3], list(range(70))):
        np.testing.assert_array_equal(fitted.predict_proba(X[rows]), whole[rows])


def test_the_model_inside_is_one_of_ours() -> None:
    X, y = load_wine(return_X_y=True)
    fitted = TransformerClassifier(steps=20, random_state=5).fit(X, y)
    rows = ((X[:4] - fitted.mean_) / fitted.scale_).astype(np.float32)
    logits = fitted.module()(rows).numpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X[:4]), expected, rtol=1e-5)
    assert "attention" in tx.draw(fitted.module(), inputs=(rows,)).dot.lower()
    found = tx.reasoning.capture(fitted.module(), (rows,), ["*pattern"])
    assert all(a.shape == (4, 4, 14, 14) for a in found.values())


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"heads": 3}, "not divided by 3 heads"), ({"steps": 0}, "steps 0"), ({"width": 0}, "width")],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], said: str) -> None:
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match=said):
        TransformerClassifier(**settings).fit(X, y)
