"""The pages of the reference, written from the lists of public names: see hooks.py.

Nothing is imported: modules are read, so that a page of what needs another library (estimators)
is there without it. What stands in an `__all__` is on the page that names its module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LABEL = re.compile(r" (?:Shapes|Errors|Source|Cost|Limits): ")
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Group:
    """Names that stand together. module: whose `__all__` it is. names: which of them, all if none.

    folder: those names that are defined in that subpackage. prefix: how a user writes them.
    """

    title: str
    module: str
    prefix: str
    names: Sequence[str] = ()
    folder: str = ""


@dataclass(frozen=True)
class Page:
    """name: of its file. groups: what stands on it, in order."""

    name: str
    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Entry:
    """A public name. path: where it is defined, which is its anchor. shown: as a user writes it."""

    name: str
    path: str
    shown: str
    summary: str


def _tensor(title: str, module: str) -> Group:
    return Group(title, f"tinygrad_tx.tensor.{module}", "tx.")


def _package(name: str, title: str, prefix: str = "") -> Page:
    module = f"tinygrad_tx.{name}"
    return Page(name, title, (Group("", module, prefix or f"tx.{name}."),))


def _reasoning(folder: str, title: str) -> Group:
    return Group(title, "tinygrad_tx.reasoning", "reasoning.", folder=folder)


def _about(folder: str, title: str) -> Page:
    return Page(f"reasoning-{folder}", title, (_reasoning(folder, ""),))


PAGES = (
    Page(
        "tensors",
        "Tensors",
        (
            _tensor("Tensor", "tensor"),
            _tensor("Made from sizes and values", "creation"),
            _tensor("Arrays of other libraries", "sharing"),
            _tensor("Random numbers", "random"),
            Group("Dtypes", "tinygrad_tx.dtypes", "tx."),
            _tensor("What the array API standard asks for", "namespace"),
        ),
    ),
    Page(
        "functions",
        "Functions of tensors",
        (
            _tensor("Neural networks", "neural"),
            _tensor("Element by element", "elementwise"),
            _tensor("Inverse and hyperbolic functions, logarithms, signs", "elementary"),
            _tensor("Reductions", "reductions"),
            _tensor("Products", "linalg"),
            _tensor("Sums of products by letters", "einsum"),
            _tensor("Shape", "shape"),
            _tensor("Selection and order", "selection"),
            _tensor("Indexing", "indexing"),
            _tensor("Bits", "bits"),
        ),
    ),
    Page(
        "gradients",
        "Gradients, capture, time",
        (
            Group("Derivatives of functions", "tinygrad_tx.functional", "tx."),
            Group("Recomputation, and gradients of your own", "tinygrad_tx.custom", "tx."),
            Group("Capture and replay", "tinygrad_tx.jit", "tx."),
            Group("Where the time goes", "tinygrad_tx.profile", "tx."),
            Group(
                "The cache of kernels",
                "tinygrad_tx.runtime.kernels",
                "tx.",
                ("cache_info", "clear_cache", "CacheInfo"),
            ),
            Group("Settings", "tinygrad_tx.config", "tx."),
        ),
    ),
    _package("nn", "Modules"),
    _package("optim", "Optimisers"),
    _package("models", "Models"),
    _package("data", "Data"),
    _package("train", "Training"),
    _package("tasks", "Tasks"),
    _package("prompt", "Prompts"),
    _package("viz", "Drawing", "tx."),
    Page(
        "reasoning",
        "Looking inside",
        (_reasoning("", "Look, change, measure again"), _reasoning("report", "Reports")),
    ),
    _about("explain", "Explanations"),
    _about("circuits", "Circuits"),
    _about("trust", "Trust"),
    _about("audits", "Audits"),
    _about("mending", "Mending"),
    Page(
        "testing",
        "Gradient testing",
        (
            Group("Checks", "tinygrad_tx.testing", "testing."),
            Group("As a test of many inputs", "tinygrad_tx.testing.given", "testing.given."),
            Group(
                "Arrays that are chosen to hurt",
                "tinygrad_tx.testing.strategies",
                "testing.strategies.",
            ),
            Group("Random graphs", "tinygrad_tx.testing.graphs", "testing.graphs."),
        ),
    ),
    _package("interop", "ONNX"),
    _package("estimators", "scikit-learn", "estimators."),
    _package("distributed", "Several processes", "distributed."),
    _package("sizing", "Sizing on paper", "sizing."),
    _package("bench", "Races", "bench."),
    Page(
        "errors",
        "Errors and tables",
        (
            Group("Errors", "tinygrad_tx.errors", "tx.errors."),
            Group("Tables", "tinygrad_tx.table", "table."),
        ),
    ),
)


@cache
def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def tree_of(module: str) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def listed(module: str) -> list[str]:
    """Its `__all__`."""
    for node in tree_of(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise LookupError(f"{module} has no __all__")


def defined(module: str, name: str) -> str:
    """The module in which a name that `module` has is defined: packages pass names on."""
    # A lazy name is imported inside of a function.
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module != module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return defined(node.module, alias.name)
    return module


def docstring_of(module: str, name: str) -> str:
    """Of a class, a function or a module, or the text below a constant."""
    if file_of(module).name == "__init__.py" and file_of(f"{module}.{name}").exists():
        return ast.get_docstring(tree_of(f"{module}.{name}")) or ""
    body = tree_of(module).body
    for at, node in enumerate(body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            if any(ast.unparse(d) == "overload" for d in node.decorator_list):
                continue
            return ast.get_docstring(node) or ""
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if isinstance(node, ast.AnnAssign):
            targets = (node.target,)
        below = body[at + 1] if at + 1 < len(body) else None
        if name in {ast.unparse(t) for t in targets} and isinstance(below, ast.Expr):
            return str(ast.literal_eval(below.value)) if _is_text(below.value) else ""
    return ""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def entries(group: Group) -> Iterator[Entry]:
    """What a group holds, in the order of its list."""
    for name in listed(group.module):
        if name.startswith("_") or (group.names and name not in group.names):
            continue
        home = defined(group.module, name)
        inside = home.removeprefix(f"{group.module}.")
        folder = inside.partition(".")[0] if inside != home and "." in inside else ""
        if group.prefix == "reasoning." and folder != group.folder:
            continue
        first = docstring_of(home, name).partition("\n\n")[0].replace("\n", " ")
        summary = LABEL.split(first)[0]
        yield Entry(name, f"{home}.{name}", group.prefix + name, summary)


@cache
def homes() -> dict[str, tuple[Page, Entry]]:
    """The one page of each name, by the path where it is defined: the first that lists it,
    but that of its own package where one does (LoRA is nn's, though prompt has it too)."""
    found: dict[str, tuple[Page, Entry]] = {}
    for page in PAGES:
        for group in page.groups:
            for entry in entries(group):
                is_own = entry.path.startswith(f"{group.module}.")
                if entry.path not in found or (
                    is_own and not found[entry.path][1].path.startswith(group.module)
                ):
                    found[entry.path] = (page, entry)
    return found


def markdown(page: Page) -> str:
    """The text of a page: a table of what is there, then each with its docstring."""
    home = homes()
    lines = [f"# {page.title}", ""]
    for group in page.groups:
        about = ast.get_docstring(tree_of(group.module)) or ""
        here = [e for e in entries(group) if home[e.path][0] is page]
        away = [e for e in entries(group) if home[e.path][0] is not page]
        if group.title:
            lines += [f"## {group.title}", ""]
        if not group.folder and group.prefix != "reasoning.":
            lines += [about, ""]
        elif group.folder:
            lines += [ast.get_docstring(tree_of(f"{group.module}.{group.folder}")) or "", ""]
        lines += ["| name | what it is |", "| --- | --- |"]
        lines += [f"| [`{e.shown}`](#{e.path}) | {cell(e.summary)} |" for e in here]
        lines += [
            f"| [`{e.shown}`]({home[e.path][0].name}.md#{e.path}) | {cell(e.summary)} |"
            for e in away
        ]
        lines += [""]
        for entry in here:
            lines += [
                f"::: {entry.path}",
                "    options:",
                f"      heading: {entry.shown}",
                f"      toc_label: {entry.shown}",
                *(["      inherited_members: true"] if entry.name == "Tensor" else []),
                "",
            ]
    return "\n".join(lines)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def index() -> str:
    """The first page of the reference."""
    lines = [
        "# Reference",
        "",
        "Every public name, from its docstring. `import tinygrad_tx as tx` is meant throughout;",
        "`reasoning`, `testing`, `sizing`, `distributed`, `bench`, `estimators` and `table` are",
        "imported as `from tinygrad_tx import reasoning`. Shapes are written as `(batch, time)`,",
        "`x: ` at the start of a sentence speaks of the argument or field x.",
        "",
        "| page | names |",
        "| --- | --- |",
    ]
    home = homes()
    for page in PAGES:
        names = [e for g in page.groups for e in entries(g) if home[e.path][0] is page]
        shown = ", ".join(f"[`{e.name}`]({page.name}.md#{e.path})" for e in names[:12])
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        lines.append(f"| [{page.title}]({page.name}.md) | {shown}{more} |")
    lines.append("| [Command line](command-line.md) | every command and its options |")
    return "\n".join(lines) + "\n"
