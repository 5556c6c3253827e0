"""Living with other programs: ONNX files that are drawn, run and written.

Read onnx_file.py (what every reader starts from); onnx_graph.py draws a file, onnx_import.py with
onnx_reading/ runs one, onnx_export.py with onnx_writing/ writes one.
"""

from tinygrad_tx.interop.foreign import ForeignGraph, OpenSize
from tinygrad_tx.interop.onnx_check import compare_onnx, run_onnx
from tinygrad_tx.interop.onnx_decoder import export_decoder
from tinygrad_tx.interop.onnx_export import Exported, export_onnx
from tinygrad_tx.interop.onnx_graph import read_onnx
from tinygrad_tx.interop.onnx_import import OnnxModule, import_onnx

__all__ = [
    "Exported",
    "ForeignGraph",
    "OnnxModule",
    "OpenSize",
    "compare_onnx",
    "export_decoder",
    "export_onnx",
    "import_onnx",
    "read_onnx",
    "run_onnx",
]
