"""Graphs that other programs wrote, read as graphs of ours: to be drawn, not to be run."""

from tinygrad_tx.interop.foreign import ForeignGraph, OpenSize
from tinygrad_tx.interop.onnx_graph import read_onnx

__all__ = ["ForeignGraph", "OpenSize", "read_onnx"]
