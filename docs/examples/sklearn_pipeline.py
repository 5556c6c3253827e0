"""A transformer inside scikit-learn: in a pipeline, searched over, beside logistic regression.

`TransformerClassifier` is an estimator like any other. On small tables it has no advantage over a
linear model, and this example says so when it comes out that way. Needs the extra sklearn:

    pip install 'tinygrad-tx[sklearn]'
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

try:
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from tinygrad_tx.estimators import TransformerClassifier
except ImportError:
    sys.exit("This example needs scikit-learn: pip install 'tinygrad-tx[sklearn]'")


def main(steps: int, folds: int, widths: list[int]) -> None:
    X, y = load_wine(return_X_y=True)
    # A fifth is kept for the end: neither the search nor the folds see it.
    X, X_last, y, y_last = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    transformer = make_pipeline(
        StandardScaler(), TransformerClassifier(steps=steps, random_state=0)
    )
    search = GridSearchCV(
        transformer,
        {"transformerclassifier__width": widths, "transformerclassifier__layers": [1, 2]},
        cv=folds,
    )
    search.fit(X, y)
    for settings, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        shown = ", ".join(f"{k.split('__')[1]} {v}" for k, v in settings.items())
        print(f"{shown}: {score:.1%} in {folds} folds")
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    print(f"logistic regression: {cross_val_score(linear, X, y, cv=folds).mean():.1%}")

    # Inside is a module: its probabilities, its graph and its attention can be looked at.
    best = search.best_estimator_
    module = best[-1].module()
    chances = best.predict_proba(X_last[:1])[0]
    print(f"{module.num_parameters():,} parameters; first row: {np.round(chances, 2).tolist()}")
    print(
        f"right of {len(y_last)} rows kept for the end: transformer "
        f"{best.score(X_last, y_last):.1%}, logistic regression "
        f"{linear.fit(X, y).score(X_last, y_last):.1%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A transformer in a scikit-learn pipeline.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=5, folds=2, widths=[8])
    else:
        main(steps=150, folds=3, widths=[16, 32])
