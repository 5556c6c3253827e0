"""Local functions of an ONNX file inlined: a call becomes a module with the nodes of its body."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.interop.foreign import printable
from tinygrad_tx.interop.onnx_names import module_of_call, scope_of_node, set_scope

__all__ = ["MOST_NODES", "inlined", "subgraphs_of"]

MOST_NODES = 50_000  # with those of calls and subgraphs; models of today have some thousands
DEEPEST_CALL = 24


def subgraphs_of(node: Any) -> Iterator[Any]:
    """What an If, a Loop or a Scan holds."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def inlined(model: Any, path: Path) -> dict[str, str]:
    """Replaces the calls in `model`; gives the kind of each module that a call became.

    Errors: OnnxError where functions call themselves or unfold into too many nodes.
    """
    inlining = _Inlining(model, path)
    nodes = list(inlining.flat(model.graph.node, "", 0))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.functions[:]
    return inlining.kinds


class _Inlining:
    def __init__(self, model: Any, path: Path) -> None:
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.path = path
        self.kinds: dict[str, str] = {}
        self.calls: Counter[tuple[str, str]] = Counter()  # without a name, by module and function
        self.count = 0
        known = {o.domain for o in model.opset_import}
        for function in model.functions:
            for opset in function.opset_import:
                if opset.domain not in known:
                    known.add(opset.domain)
                    model.opset_import.add(domain=opset.domain, version=opset.version)

    def flat(self, nodes: Any, scope: str, depth: int) -> Iterator[Any]:
        """`nodes` with calls replaced, each node with its scope below `scope`."""
        if depth > DEEPEST_CALL:
            raise self._refused(f"its functions call one another {DEEPEST_CALL} levels deep")
        for node in nodes:
            self._counted(node)
            function = self.functions.get((node.domain, node.op_type, node.overload))
            if function is None:
                set_scope(node, scope)
                yield node
            else:
                yield from self.flat(*self._body(node, function, scope), depth + 1)

    def _counted(self, node: Any) -> None:
        """Counts a node with what its subgraphs hold."""
        self.count += 1
        if self.count > MOST_NODES:
            raise self._refused(f"more than {MOST_NODES:,} nodes")
        for graph in subgraphs_of(node):
            for inner in graph.node:
                self._counted(inner)

    def _refused(self, what: str) -> OnnxError:
        remedy = "export a part of the model"
        return OnnxError(explain("onnx", f"{printable(self.path.name)}: {what}", remedy=remedy))

    def _body(self, call: Any, function: Any, scope: str) -> tuple[list[Any], str]:
        """The nodes of a call under names of their own, and the module that they make up."""
        own = module_of_call(call)
        if not own:
            # Calls without a name are numbered, so that those that repeat can be drawn once.
            stem = ".".join(s for s in (scope_of_node(call), printable(function.name)) if s)
            own = f"{stem}.{self.calls[scope, stem]}"
            self.calls[scope, stem] += 1
        path = ".".join(s for s in (scope, own) if s)
        self.kinds[path] = printable(function.name)
        names = dict(zip(function.input, [*call.input, *[""] * len(function.input)], strict=False))
        names |= dict(zip(function.output, call.output, strict=False))
        prefix = f"call {self.count}: "
        given = {a.name: a for a in (*function.attribute_proto, *call.attribute)}
        return [self._copy(node, names, prefix, given) for node in function.node], path

    def _copy(self, node: Any, names: dict[str, str], prefix: str, given: dict[str, Any]) -> Any:
        copy = type(node)()
        copy.CopyFrom(node)
        _rename(copy.input, names, prefix)
        _rename(copy.output, names, prefix)
        del copy.attribute[:]
        for attribute in node.attribute:
            own = attribute
            if attribute.ref_attr_name:
                if attribute.ref_attr_name not in given:
                    continue  # an optional one that the call leaves out
                own = given[attribute.ref_attr_name]
            made = copy.attribute.add()
            made.CopyFrom(own)
            made.name = attribute.name
            for graph in (*((made.g,) if made.HasField("g") else ()), *made.graphs):
                self._rename_graph(graph, names, prefix, given)
        return copy

    def _rename_graph(
        self, graph: Any, names: dict[str, str], prefix: str, given: dict[str, Any]
    ) -> None:
        """A subgraph of a body: what it makes and what it reads, under the names of the call."""
        for values in (graph.input, graph.output, graph.initializer, graph.value_info):
            for value in values:
                value.name = _renamed(value.name, names, prefix)
        nodes = [self._copy(node, names, prefix, given) for node in graph.node]
        del graph.node[:]
        graph.node.extend(nodes)


def _renamed(name: str, names: dict[str, str], prefix: str) -> str:
    return names.get(name, f"{prefix}{name}") if name else ""


def _rename(field: Any, names: dict[str, str], prefix: str) -> None:
    field[:] = [_renamed(name, names, prefix) for name in field]
