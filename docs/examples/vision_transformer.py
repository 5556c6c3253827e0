"""A vision transformer on handwritten digits: pictures cut into patches, read as words are.

The model is written here, of the parts in `tx.nn`: a linear map of each patch, learnt positions,
blocks of attention without a mask, the mean over patches. The digits are the 1,797 of 8 by 8 pixels
that come with scikit-learn; beside it stand logistic regression and a support vector machine, which
are hard to beat on so few. Source: Dosovitskiy et al. 2021.

    pip install 'tinygrad-tx[sklearn]'
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import tinygrad_tx as tx

try:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC
except ImportError:
    sys.exit("This example reads scikit-learn's digits: pip install 'tinygrad-tx[sklearn]'")

PATCH = 2


class Block(tx.nn.Module):
    """Each patch looks at all, then thinks for itself; both are added to what is there."""

    def __init__(self, width: int, heads: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.attention_norm = tx.nn.LayerNorm(width)
        self.attention = tx.nn.MultiHeadAttention(width, heads, rng)
        self.feed_forward_norm = tx.nn.LayerNorm(width)
        self.feed_forward = tx.nn.FeedForward(width, 2 * width, rng, dropout=0.1)

    def forward(self, h: tx.Tensor) -> tx.Tensor:
        h = h + self.attention(self.attention_norm(h))
        return h + self.feed_forward(self.feed_forward_norm(h))


class VisionTransformer(tx.nn.Module):
    """Pictures (batch, 8, 8) to the logits of ten digits (batch, 10)."""

    def __init__(self, side: int, width: int, layers: int, heads: int, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.count = (side // PATCH) ** 2
        self.patches = tx.nn.Linear(PATCH**2, width, rng, deviation=0.05)
        self.position = tx.nn.Embedding(self.count, width, rng)
        self.blocks = tx.nn.ModuleList([Block(width, heads, rng) for _ in range(layers)])
        self.norm = tx.nn.LayerNorm(width)
        self.classifier = tx.nn.Linear(width, 10, rng)

    def forward(self, pictures: tx.Tensor) -> tx.Tensor:
        pictures = tx.as_tensor(pictures)  # an array is welcome too
        batch, side, _ = pictures.shape
        rows = side // PATCH
        x = pictures.reshape(batch, rows, PATCH, rows, PATCH).permute_dims((0, 1, 3, 2, 4))
        h = self.patches(x.reshape(batch, self.count, PATCH**2))
        h = h + self.position(np.arange(self.count))  # (batch, patches, width)
        for block in self.blocks:
            h = block(h)
        return self.classifier(self.norm(h).mean(axis=1))


def main(steps: int, width: int, layers: int) -> None:
    pictures, digits = load_digits(return_X_y=True)
    pictures = (pictures.reshape(-1, 8, 8) / 16).astype(np.float32)
    # The first 1,297 were written by other people than the last 500.
    X, y, X_last, y_last = pictures[:1297], digits[:1297], pictures[1297:], digits[1297:]
    model = VisionTransformer(8, width, layers, heads=4)
    optimizer = tx.optim.AdamW(model.parameters(), weight_decay=0.05)
    rate = tx.optim.cosine(3e-3, steps, warmup=max(1, steps // 20), floor=0.01)

    @tx.jit
    def step(pictures: tx.Tensor, digits: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = tx.cross_entropy(model(pictures), digits)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    for number in range(steps):
        optimizer.lr = rate(number)
        rows = rng.integers(0, len(X), 64)
        loss = step(X[rows], y[rows])
        if number % max(1, steps // 6) == 0:
            print(f"step {number:5}  loss {loss.item():.3f}")

    model.eval()
    right = float((model(X_last).numpy().argmax(1) == y_last).mean())
    flat, flat_last = X.reshape(len(X), -1), X_last.reshape(len(X_last), -1)
    linear = LogisticRegression(max_iter=2000).fit(flat, y).score(flat_last, y_last)
    kernel = SVC().fit(flat, y).score(flat_last, y_last)
    tx.draw(model, "vision_transformer.svg", inputs=(X[:1],), overlay="shapes")
    print("the model, drawn from its graph: vision_transformer.svg")
    print(
        f"right of {len(y_last)} digits by other hands: vision transformer {right:.1%}, logistic "
        f"regression {linear:.1%}, support vectors {kernel:.1%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A vision transformer on handwritten digits.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=5, width=16, layers=1)
    else:
        main(steps=1200, width=64, layers=3)
