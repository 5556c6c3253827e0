"""What the site has beside docs/*.md: first page, reference, source files, navigation, links.

Links in our pages are those of a checkout (`../tinygrad_tx/jit.py`), and stay so; on the site a
file of the repository that a page links to has a page of its own below source/.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import commands
import dialect
import reference
from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LINK = re.compile(r"(?<=\]\()(?P<to>[^)#\s]+)(?P<anchor>#[^)]*)?(?=\))")
NAME = re.compile(r"\[[\w./-]+\.md\](?=\((?P<to>[^)#\s]+)(?:#[^)]*)?\))")
IMAGE = re.compile(r'(?<=src=")docs/')
FENCE = re.compile(r"^```(?P<language>\w+) (?P<options>\w+=[\w.]+(?: \w+=[\w.]+)*)$", re.M)
TITLES = {"needs": "needs {}", "file": "{}"}
"""What a reader is told of the options of a block; the others are marks for our own tests."""
# In a table GitHub wants a bar inside of code with a backslash, and MkDocs without one.
ROW, SPAN = re.compile(r"^\|.*\\\|.*$", re.M), re.compile(r"`[^`]*`")
COMMENT = re.compile(r"<!--.*?-->\n*", re.S)
SOURCE = '<details class="mkdocstrings-source"'
OPTION = re.compile(r"(?<!<pre>)(?<!</span>)<code>([^<]*-[^<]*)</code>")
WORD = re.compile(r"(?<!\S)[^\s-]*-\S{1,24}(?!\S)")
CODE = re.compile(r"(?<!<pre>)<code>([\w.]+)(\([^<]*\))?</code>(?!</a>)")

START = ["index", "comparison", "results", "concepts.zh", "upgrading"]
GUIDES = [
    *("train-your-own-text", "transformer-from-tensors", "pretrain-finetune-prompt"),
    *("draw-for-a-paper", "gradient-tests", "understanding", "how-the-compiler-works"),
    *("add-an-operator", "add-a-model", "add-a-pass", "add-a-view"),
]
DOES = [
    *("gallery", "gallery-views", "models", "tasks", "runs", "data", "distributed", "sizing"),
    *("interop", "array-api", "onnx", "gradient-testing"),
]
INSIDE = [
    *("architecture", "operators", "safety", "untrusted", "faults", "mutations", "platforms"),
    *("dependencies", "CONTRIBUTING", "releasing"),
]
REFERENCE = {
    "Engine": ["tensors", "functions", "gradients"],
    "Models and training": [
        *("nn", "optim", "models", "data", "train", "tasks", "prompt", "distributed"),
    ],
    "Drawing and understanding": [
        *("viz", "reasoning", "reasoning-explain", "reasoning-circuits", "reasoning-trust"),
        *("reasoning-audits", "reasoning-mending"),
    ],
    "Around it": [
        *("command-line", "testing", "interop", "estimators", "sizing", "bench", "errors"),
    ],
}


def on_config(config: Any) -> Any:
    """The navigation. A page that no section names stands behind what the project does."""
    pages = {
        p.relative_to(HERE.parent).with_suffix("").as_posix() for p in HERE.parent.rglob("*.md")
    } | {"index"}
    folders = {
        n: sorted(p for p in pages if p.startswith(f"{n}/"))
        for n in ("guides", "examples", "mistakes")
    }
    named = {*START, *DOES, *INSIDE}
    rest = sorted(p for p in pages if "/" not in p and p not in named)
    sections: dict[str, Any] = {
        "Start": START,
        "Guides": sorted(folders["guides"], key=place_of_guide),
        "Examples": folders["examples"],
        "Mistakes": sorted(folders["mistakes"], key=place_of_topic),
        "What it does": [*DOES, *rest],
        "Reference": [
            "reference/index.md",
            *({part: [f"reference/{n}.md" for n in names]} for part, names in REFERENCE.items()),
        ],
        "Inside": INSIDE,
    }
    config["nav"] = [
        {title: found if title == "Reference" else [f"{p}.md" for p in found if p in pages]}
        for title, found in sections.items()
        if found
    ]
    return config


def place_of_guide(page: str) -> tuple[int, str]:
    """In the order of GUIDES, what is not named there behind them."""
    name = page.removeprefix("guides/")
    return (GUIDES.index(name) if name in GUIDES else len(GUIDES), name)


def place_of_topic(page: str) -> int:
    """In the order in which the list of common mistakes links to its topics, itself first."""
    readme = (HERE.parent / "mistakes" / "README.md").read_text(encoding="utf-8")
    return readme.find(f"({page.removeprefix('mistakes/')}.md)")


def place_of(page: str) -> Path:
    """The file of the repository that a page of the site is made of."""
    return ROOT / "README.md" if page == "index.md" else HERE.parent / page


def target_of(page: str, to: str) -> str:
    """The page of the site that a link of a checkout means; as it is if it leads elsewhere."""
    if "://" in to or to.startswith("mailto:"):
        return to
    path = (place_of(page).parent / to).resolve()
    if not path.exists() or not path.is_relative_to(ROOT):
        return to
    if path == ROOT / "README.md":
        found = "index.md"
    elif path.is_relative_to(HERE.parent) and path.suffix in (".md", ".svg", ".png", ".ipynb"):
        found = path.relative_to(HERE.parent).as_posix()
    else:
        found = source_page(path)
    return posixpath.relpath(found, posixpath.dirname(page) or ".")


def title_of(page: str, to: str) -> str:
    """The heading of a page of ours, for a link that is called by its file; else nothing."""
    path = (place_of(page).parent / to).resolve()
    if not path.is_relative_to(HERE.parent) or not path.exists():
        return ""
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.M)
    return heading[1] if heading else ""


def source_page(path: Path) -> str:
    return f"source/{path.relative_to(ROOT).as_posix()}.md"


def linked_files(page: str, text: str) -> set[Path]:
    """Files and folders of the repository that a page links to and the site has no page of."""
    found = set()
    for match in LINK.finditer(text):
        if target_of(page, match["to"]).rpartition("source/")[1]:
            found.add((place_of(page).parent / match["to"]).resolve())
    return found


def source(path: Path) -> str:
    """A file of the repository as a page; of a folder its files."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if not p.name.startswith(("_", ".")))
        return "\n".join([f"# {name}", "", *(f"- `{file}`" for file in files)])
    kind = {".py": "python", ".toml": "toml", ".json": "json"}.get(path.suffix, "text")
    return f"# {name}\n\n````{kind}\n{path.read_text(encoding='utf-8')}\n````\n"


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are no files of docs/."""
    made = {
        "index.md": (ROOT / "README.md").read_text(encoding="utf-8"),
        "reference/index.md": reference.index(),
        "reference/command-line.md": commands.markdown(),
    }
    made |= {f"reference/{p.name}.md": reference.markdown(p) for p in reference.PAGES}
    texts = {f.src_uri: f.content_string for f in files.documentation_pages()} | made
    linked = set().union(*(linked_files(page, text) for page, text in texts.items()))
    made |= {source_page(path): source(path) for path in linked}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    for name in ("style.css", "iframe-worker.js"):
        files.append(File.generated(config, f"assets/{name}", abs_src_path=str(HERE / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **rest: Any) -> str:
    """Links of a checkout become links of the site; marks for our own tests go."""
    uri = page.file.src_uri
    if uri.startswith(("reference/", "source/")):
        return markdown
    markdown = ROW.sub(lambda m: SPAN.sub(lambda s: s[0].replace(r"\|", "|"), m[0]), markdown)
    markdown = dialect.rewritten(FENCE.sub(fence, COMMENT.sub("", markdown)))
    if uri == "index.md":
        markdown = IMAGE.sub("", markdown)
    markdown = NAME.sub(lambda m: f"[{title_of(uri, m['to']) or m[0][1:-1]}]", markdown)
    return LINK.sub(lambda m: target_of(uri, m["to"]) + (m["anchor"] or ""), markdown)


def fence(block: re.Match[str]) -> str:
    """The first line of a block as the site's Markdown has it, with its options as a title."""
    options = dict(option.split("=") for option in block["options"].split())
    title = ", ".join(TITLES[k].format(v) for k, v in options.items() if k in TITLES)
    return f"```{block['language']}" + (f' title="{title}"' if title else "")


def known() -> dict[str, str]:
    """The place in the reference of each name, as people write it: tx.nn.Linear, nn.Linear, ..."""
    found: dict[str, str] = {}
    for path, (page, entry) in reference.homes().items():
        place = f"reference/{page.name}.html#{path}"
        short = entry.shown.removeprefix("tx.")
        ways = [entry.shown, path, f"tx.{short}"]
        found |= dict.fromkeys([*ways, short] if "." in short else ways, place)
    return found


KNOWN = known()


def unbroken(code: re.Match[str]) -> str:
    """Code in a line of text, whose words do not end lines in their middle: `--out`, not `--`."""
    found = WORD.sub(r'<span class="whole">\g<0></span>', code[1])
    return f"<code>{found}</code>"


def on_page_content(html: str, page: Any, **rest: Any) -> str:
    """Names of the reference lead there, wherever they are written as code."""
    start = posixpath.dirname(page.file.dest_uri)

    def linked(match: re.Match[str]) -> str:
        place = KNOWN.get(match[1])
        if place is None:
            return match[0]
        return f'<a href="{posixpath.relpath(place, start or ".")}">{match[0]}</a>'

    # Source is read where it is shown; who searches wants what it is called and does.
    html = html.replace(SOURCE, f"{SOURCE} data-search-exclude")
    html = OPTION.sub(unbroken, html)
    return CODE.sub(linked, html)
