"""What notebooks show: pictures that fit the page."""

from __future__ import annotations

__all__ = ["fitted"]


def fitted(svg: str) -> str:
    """The picture as large as it is, and no wider than the page."""
    return svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)
