"""Module paths from what exporters leave in an ONNX file: names of nodes, and notes beside them.

TorchScript writes paths into names: `/encoder/layers.0/linear1/MatMul`. PyTorch's newer exporter
writes notes: the paths of all modules around a node, their classes, and the lines that led to it.
"""

from __future__ import annotations

import re
from typing import Any

from tinygrad_tx.interop.foreign import printable, scope_of

__all__ = ["kinds_around", "module_of_call", "place_of", "scope_of_node", "set_scope"]

LONGEST_NOTE = 20_000  # characters; a note is some hundred
_OUTER = "tinygrad_tx.scope"  # a note of our own, on the nodes of an inlined call


def scope_of_node(node: Any) -> str:
    """The module around a node, within the call that was inlined where there is one."""
    notes = _notes(node)
    paths = [path for path, _ in _levels(notes)]
    own = paths[-1] if paths else ""
    if not paths and "/" in node.name:
        own = scope_of(node.name.rpartition("/")[0])
    return ".".join(s for s in (notes.get(_OUTER, ""), own) if s)


def set_scope(node: Any, scope: str) -> None:
    """Notes the module that a node stands in because of a call."""
    if scope:
        node.metadata_props.add(key=_OUTER, value=scope)


def module_of_call(node: Any) -> str:
    """The module that a call of a function is, by its name; empty where its name says none."""
    around, last = scope_of_node(node), node.name.rpartition("/")[2]
    if re.fullmatch(rf"(node_)?{re.escape(node.op_type)}(_\d+)?", last):
        return around if "/" in node.name else ""
    return ".".join(s for s in (around, scope_of(last)) if s) if last else ""


def kinds_around(node: Any) -> dict[str, str]:
    """The class of each module around a node, where notes tell it."""
    return {path: kind for path, kind in _levels(_notes(node)) if path and kind}


def place_of(node: Any) -> str:
    """The line of the model's source, or else the node's own name."""
    trace = _notes(node).get("pkg.torch.onnx.stack_trace", "")
    for file, line in reversed(re.findall(r'File "([^"\n]{1,400})", line (\d{1,9})', trace)):
        if "site-packages" not in file and not file.startswith("torch/"):
            return printable(f"{file.replace(chr(92), '/').rpartition('/')[2]}:{line}")
    return printable(f"node {node.name}") if node.name else ""


def _notes(node: Any) -> dict[str, str]:
    return {p.key: p.value[:LONGEST_NOTE] for p in node.metadata_props}


def _levels(notes: dict[str, str]) -> list[tuple[str, str]]:
    """The modules around a node from the outermost: path and class, either may be empty."""
    scopes = _listed(notes.get("pkg.torch.onnx.name_scopes", ""))
    kinds = _listed(notes.get("pkg.torch.onnx.class_hierarchy", ""))
    if not scopes and "namespace" in notes:
        # `: Model/encoder: pkg.Encoder/encoder.0: pkg.Layer/linear: aten.linear`
        pairs = [part.partition(": ") for part in notes["namespace"].split("/")]
        scopes, kinds = [path for path, _, _ in pairs], [kind for _, _, kind in pairs]
    # The last one is the operation itself.
    kinds = kinds if len(kinds) == len(scopes) else [""] * len(scopes)
    return [
        (scope_of(path), printable(kind.rpartition(".")[2]))
        for path, kind in list(zip(scopes, kinds, strict=True))[:-1]
        if not path.startswith("_empty_nn_module_stack")
    ]


def _listed(text: str) -> list[str]:
    """The words of a list as Python prints it."""
    return re.findall(r"'([^']*)'", text)
