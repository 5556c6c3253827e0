"""Commands that pages, docstrings and messages show can be typed as they stand.

Nothing is run: each is parsed as its program would parse it, and the files it names are looked for.
Guides run theirs (test_docs.py), and those of mistakes/ are run in mistakes/.
"""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from tests.test_docs import GUIDES, PAGES, ROOT
from tinygrad_tx.cli.main import app
from tinygrad_tx.cli.options import Options
from tinygrad_tx.models.published.packages import PACKAGES
from tinygrad_tx.train import Space

MISUSE = typer.BadParameter.__mro__[1]  # UsageError, of Click or of the copy inside Typer
ROOT_COMMAND = typer.main.get_command(app)
SHELLS = ("bash", "sh", "console")
PROGRAM = r"(?:[A-Z_]+=\S+ )?(?:mpirun [^`\n]*?)?(?:\S*bin/)?(?:tinygrad-tx|python3?|pip|pytest)"
SPAN = re.compile(rf"(?<!`)`({PROGRAM}\s[^`]+)`")
BARE = re.compile(
    r"(?:^ *|: )((?:mpirun [^`\n]*?)?"
    r"(?:tinygrad-tx (?=[a-z])|pip install |python (?:-m )?\S+\.\w+)"
    r"""(?:"[^"\n]*"|'[^'\n]*'|[^\n`"'])*)""",
    re.M,
)
PLAIN = ("build", "cd", "cp", "git", "mypy", "ruff", "twine", "venv")
"""Programs whose words are not looked at."""
FENCED = re.compile(r"^```.*?^```", re.S | re.M)
COMMAND = rf"(?:{PROGRAM}|\S*bin/|mkdocs|\.ci/run|{'|'.join(PLAIN)})\b"
CODE = {"": re.compile(rf" {{4,}}{COMMAND}"), "plain": re.compile(COMMAND)}
"""How a command looks outside of fences, and inside of those that name no language."""


def in_page(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each command of a page: in shell blocks, indented, or between backticks."""
    fence, prose, held = "", [], ""
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.match(r" *```(\w*)", line)
        is_code = fence in SHELLS or held or (fence in CODE and CODE[fence].match(line))
        if mark:
            fence = "" if fence else mark[1] or "plain"
        elif is_code and line.endswith("\\"):
            held += line[:-1]
        elif is_code:
            yield number, (held + line).strip()
            held = ""
        prose.append("" if fence or mark or is_code else line)
    whole = "\n".join(prose)
    for found in SPAN.finditer(whole):
        yield whole[: found.start()].count("\n") + 1, " ".join(found[1].split())


def in_source(text: str) -> Iterator[tuple[int, str]]:
    """The same of a file of Python: in its docstrings and messages."""
    tree = ast.walk(ast.parse(text))
    strings = [n for n in tree if isinstance(n, ast.JoinedStr | ast.Constant)]
    pieces = {id(v) for n in strings if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in strings:
        values = node.values if isinstance(node, ast.JoinedStr) else [node]
        parts = [str(v.value) if isinstance(v, ast.Constant) else "X" for v in values]
        shown = "" if id(node) in pieces else re.sub(r"\\\n *", "", "".join(parts))
        for found in (*SPAN.finditer(shown), *BARE.finditer(shown)):
            yield node.lineno + shown[: found.start()].count("\n"), one_sentence(found[1])


def one_sentence(text: str) -> str:
    """Of a command that stands in prose: what comes before a mark that is not inside quotes."""
    words = re.compile(r"""(?:"[^"]*"|'[^']*'|[^"'])*?(?=[.,;:)]+(?:\s|$)|\s\.\.\.|\s\(|$)""")
    found = words.match(text)
    return " ".join(found[0].split()) if found else text


def programs(command: str) -> Iterator[list[str]]:
    """The words of each program of a line of shell: one && two | three > file  # why."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        is_file = words[-1:] == [">"]
        if word == ">" or not re.fullmatch(r"[|&;()<>]+", word):
            words = words[:-1] if is_file else [*words, word]
        else:
            yield words
            words = []


def fault(command: str, beside: Path | None = None) -> str:
    """What is wrong with a command, or nothing. beside: a folder whose files it may name too."""
    try:
        for words in programs(command):
            if what := fault_of(words, beside):
                return what
    except (MISUSE, ValueError) as error:
        return str(error)
    return ""


def fault_of(words: list[str], beside: Path | None) -> str:
    if not words or re.match(r"[A-Z_]+=", words[0]):
        return fault_of(words[1:], beside) if words else ""
    if words[0] == "mpirun":
        known = [n for n, word in enumerate(words) if word in ("tinygrad-tx", "python")]
        return fault_of(words[known[0] :], beside) if known else "mpirun of what?"
    name = re.sub(r"^(\.?\w+/)?bin/", "", words[0]).removesuffix("3")
    if words[1:2] == ["-m"] and name == "python":
        name, words = words[2], words[2:]
    if name.startswith(("tinygrad_tx.", "tests.")):
        return of_script([f"{name.replace('.', '/')}.py", *words[1:]], beside)
    match name:
        case "tinygrad-tx" | "tinygrad_tx":
            return of_command(words[1:])
        case "python":
            return of_script(words[1:], beside) or of_path(words[1], beside)
        case "pytest":
            plugin = constants(ROOT / "tinygrad_tx" / "testing" / "plugin.py")
            own = [w for w in words if w.startswith("--gradcheck") and w not in plugin]
            return f"pytest has no {own}" if own else files(words[1:], beside)
        case "pip":
            return of_pip(words[1:])
        case "mkdocs" | ".ci/run":
            return files(words, beside)
    return "" if name in PLAIN else f"{name}: which program is that?"


def of_command(words: list[str]) -> str:
    """Parsed by the command itself; values are among those that the shell offers for them."""
    command, name, given = ROOT_COMMAND, "tinygrad-tx", list(words)
    while given and (inner := getattr(command, "commands", None)):
        if given == ["--version"]:
            return ""
        name = given.pop(0)
        if name not in inner:
            return "" if name.isupper() else f"no command {name!r}"
        command = inner[name]
    if not given or given == ["--help"]:
        return ""  # mentioned by its name
    context = command.make_context(name, list(given))
    for parameter in command.params:
        values = context.params[parameter.name]
        for value in values if isinstance(values, list | tuple) else [values]:
            offered = [c.value for c in parameter.shell_complete(context, "") if c.type == "plain"]
            exact = [c.value for c in parameter.shell_complete(context, str(value))]
            is_free = value == parameter.default or re.search(r"[/:.]|^[A-Z]+$", str(value))
            is_package = any(known.startswith(str(value)) for known in PACKAGES)  # cut short
            if offered and value not in exact and not (is_free or is_package):
                return f"{parameter.name}: no {value!r} among {offered}"
    return of_search(context.params) if name == "search" else ""


def of_search(given: dict[str, object]) -> str:
    """What stands behind --, and what varies, are options of `train`."""
    vary, options = given["vary"] or [], given["options"] or []
    assert isinstance(vary, list | tuple)
    assert isinstance(options, list | tuple)
    if vary:
        Space.of(**dict(pair.split("=", 1) for pair in vary))
    unknown = {pair.split("=")[0] for pair in vary} - set(Options.__dataclass_fields__)
    return f"train has no {unknown}" if unknown else of_command(["train", *options])


def of_script(words: list[str], beside: Path | None) -> str:
    """It is there, and holds each option and each lower-case word that it is given."""
    if what := files(words[:1], beside):
        return what
    if not words[0].endswith(".py"):
        return "python of what?"
    at = next(f for f in places(words[0], beside) if f.is_file())
    asked = [w for w in words[1:] if re.fullmatch(r"--[a-z-]+|[a-z]+", w)]
    values = [after for w, after in pairwise(words) if w.startswith("--")]
    lacking = [w for w in asked if w not in constants(at) and w not in values]
    return f"{words[0]} has no {lacking}" if lacking else ""


def of_path(script: str, beside: Path | None) -> str:
    """Started by its path, it finds what is in its own folder, and not our tests."""
    at = next(f for f in places(script, beside) if f.is_file())
    lines = re.findall(r"^(?:from|import) tests\b", at.read_text(encoding="utf-8"), re.M)
    return f"{script} imports tests: start it by python -m" if lines else ""


def of_pip(words: list[str]) -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    named = [e for w in words for e in re.findall(r"^(?:\.|tinygrad-tx)\[([\w,]+)\]$", w)]
    lacking = {e for names in named for e in names.split(",") if e != "NAME"} - set(extras)
    return f"no extra {lacking}" if lacking else ""


def files(words: list[str], beside: Path | None) -> str:
    """Which of the words looks like a file of ours and is none."""
    named = [w for w in words if re.match(r"(\.ci|docs|tests|tinygrad_tx)/|.*\.(py|yml)$", w)]
    lacking = [w for w in named if not any(f.exists() for f in places(w, beside))]
    return f"no file {lacking}" if lacking else ""


def places(name: str, beside: Path | None) -> list[Path]:
    return [folder / name for folder in (ROOT, beside) if folder is not None]


@cache
def constants(script: Path) -> frozenset[str]:
    tree = ast.walk(ast.parse(script.read_text(encoding="utf-8")))
    return frozenset(
        n.value for n in tree if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )


def shown() -> Iterator[tuple[str, str, Path]]:
    """Place, command and file of all that is shown, but for what other tests run."""
    pages = {*PAGES, ROOT / "tests" / "README.md"} - set((ROOT / "docs" / "mistakes").iterdir())
    sources = [p for top in ("tinygrad_tx", "docs") for p in (ROOT / top).rglob("*.py")]
    sources += [p for p in (ROOT / "tests").rglob("*.py") if not p.name.startswith("test_")]
    for page in sorted({*pages, *sources}):
        text = page.read_text(encoding="utf-8")
        if page in GUIDES:
            text = FENCED.sub(lambda found: "\n" * found[0].count("\n"), text)
        for line, command in (in_page if page.suffix == ".md" else in_source)(text):
            yield f"{page.relative_to(ROOT)}:{line}", command, page


SHOWN = list(shown())


def test_every_command_that_is_shown_can_be_typed() -> None:
    wrong = {f"{place}: {command}": fault(command, page.parent) for place, command, page in SHOWN}
    assert not {where: what for where, what in wrong.items() if what}


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("README.md", ".venv/bin/tinygrad-tx draw runs/gpt --out gpt.html"),
        ("README.md", "pip install -e '.[bench]'"),
        ("docs/sizing.md", "tinygrad-tx plan --preset mt-nlg-530b --gpus 280x8 --tensor 8"),
        ("docs/concepts.zh.md", "tinygrad-tx prompt compare"),
        ("docs/releasing.md", "env/bin/tinygrad-tx train --quick --out run"),
        ("docs/CONTRIBUTING.md", "python docs/make_results.py > docs/results.md"),
        ("docs/make_sizing.py", "tinygrad-tx plan --preset llama3-8b --gpus 4x8 --machine h100"),
        ("docs/examples/train_gpt.py", "python train_gpt.py --text novel.txt"),
        ("tinygrad_tx/cli/draw.py", 'tinygrad-tx draw runs/gpt --overlay attention --text "To be,'),
        ("tinygrad_tx/data/token_set.py", "tinygrad-tx data prepare TEXT --out X"),
        ("tinygrad_tx/cli/train.py", "mpirun -n 2 tinygrad-tx train --text novel.txt"),
    ],
)
def test_commands_are_found_in_blocks_prose_docstrings_and_messages(
    page: str, command: str
) -> None:
    found = [text for place, text, _ in SHOWN if place.rpartition(":")[0] == page]
    assert any(text.startswith(command) for text in found), found


def test_a_page_shows_commands_in_any_kind_of_block() -> None:
    page = (
        "Say `tinygrad-tx\ninfo`, or:\n\n    pip install a \\\n        b\n    x = 1\n\n"
        "```sh\nls\n```\n\n```\ntinygrad-tx info\nit says\n```\n\n```text\ntinygrad-tx out\n```\n"
    )
    found = sorted((line, " ".join(command.split())) for line, command in in_page(page))
    assert found == [
        (1, "tinygrad-tx info"),
        (5, "pip install a b"),
        (9, "ls"),
        (13, "tinygrad-tx info"),
    ]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("tinygrad-tx trian", "no command 'trian'"),
        ("tinygrad-tx data peek books", "no command 'peek'"),
        ("tinygrad-tx train --textt novel.txt", "--textt"),
        ("tinygrad-tx train novel.txt", "novel.txt"),
        ("tinygrad-tx train --steps many", "number|integer"),
        ("tinygrad-tx train --tokenizer words", "no 'words' among"),
        ("tinygrad-tx draw --preset gpt5", "no 'gpt5' among"),
        ("tinygrad-tx draw runs/gpt --view circles", "no 'circles' among"),
        ("tinygrad-tx plan --machine b200", "no 'b200' among"),
        ("tinygrad-tx bench step", "no 'step' among"),
        ("tinygrad-tx data prepare FOLDER", "out"),
        ("tinygrad-tx prompt smollm2 --label", "label"),
        ("tinygrad-tx search --vary breadth=1,2", "breadth"),
        ("tinygrad-tx search --vary width=9..3", "width"),
        ("tinygrad-tx search --vary width=1,2 -- --stepps 3", "--stepps"),
        ("mpirun -n 2 tinygrad-tx trian", "trian"),
        ("echo 1 && tinygrad-tx trian", "echo"),
        ("cd /tmp/release && tinygrad-tx trian", "trian"),
        ('tinygrad-tx generate run --prompt "The', "quotation"),
        ("python docs/make_nothing.py", "make_nothing"),
        ("python docs/make_results.py --readmee", "--readmee"),
        ("python docs/make_onnx.py measured", "measured"),
        ("python tests/train/soak.py --step 10", "--step"),
        ("python -m pytest tests/nowhere", "tests/nowhere"),
        ("pytest --gradcheck-exmaples 3", "--gradcheck-exmaples"),
        ("python -m tinygrad_tx.bench.nobody NAME", "nobody"),
        ("python -m tests.hostile.campaign --bytes 3", "--bytes"),
        ("python tests/hostile/campaign.py --files 10", "python -m"),
        ("pip install -e '.[test,develop]'", "develop"),
        ("pip install 'tinygrad-tx[jax]'", "jax"),
        ("mkdocs serve -f docs/mkdocs.yml", "mkdocs.yml"),
    ],
)
def test_what_cannot_be_typed_is_noticed(command: str, what: str) -> None:
    assert re.search(what, fault(command))
