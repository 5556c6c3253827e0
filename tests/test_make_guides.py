"""docs/make_guides.py runs what a page says, and notices what does not hold."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

MAKE = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "make_guides.py"))


@pytest.fixture
def ran(tmp_path: Path) -> Any:
    """Writes a page of these blocks, runs it, and gives the page made."""

    def run(*blocks: str, keep: Any = lambda folder: None) -> str:
        page = tmp_path / "page.md"
        page.write_text("\n".join(blocks), encoding="utf-8")
        made: str = MAKE["run"](page, keep)
        return made

    return run


def test_blocks_are_one_program_in_one_folder(ran: Any) -> None:
    made = ran(
        "```python\nimport pathlib\nn = pathlib.Path('left').write_text('three')\n```\n",
        "```bash\ncat left; echo aside >&2\n```\n\n```text\nold\n```\n",
        "```python\nprint(n)\n```\n",
    )
    assert "```bash\ncat left; echo aside >&2\n```\n\n```text\nthreeaside\n```\n" in made
    assert "```python\nprint(n)\n```\n\n```text\n5\n```\n" in made
    assert "old" not in made


def test_commands_are_those_of_this_checkout(ran: Any) -> None:
    where = "python -c 'import tinygrad_tx; print(tinygrad_tx.__file__)'"
    made = ran(f"```bash\n{where}\ncommand -v tinygrad-tx > /dev/null\n```\n")
    assert "\n```text\ntinygrad_tx/__init__.py\n```" in made


def test_what_is_printed_names_no_folder_of_this_machine(ran: Any) -> None:
    shell, python = "echo $PWD/left", "print(__import__('os').path.abspath('too'))"
    page = f"```bash\n{shell}\n```\n```python\n{python}\n```\n"
    made = ran(page)
    assert "```text\nleft\n```" in made
    assert "```text\ntoo\n```" in made


@pytest.mark.parametrize("code", ["false\necho on", "false | cat", "echo $NOT_SET_ANYWHERE"])
def test_a_command_that_fails_ends_the_guide(ran: Any, code: str) -> None:
    with pytest.raises(RuntimeError, match=r"page\.md, line 4: ended with 1"):
        ran("A line.\n", f"```bash\n{code}\n```\n")


def test_a_block_whose_library_lacks_is_left_as_it_stands(ran: Any) -> None:
    block = "```python needs=no_such_library\nimport no_such_library\n```\n\n```text\nso\n```\n"
    assert ran(block) == block
    assert "```text\n1\n```" in ran("```python needs=numpy\nprint(1)\n```\n")


def test_output_that_varies_is_shown_and_not_compared(ran: Any) -> None:
    made = ran("```bash output=varies\necho fresh\n```\n\n```text\nstale\n```\n")
    assert "```text\nfresh\n```" in made
    same, other = (MAKE["compared"](made.replace("\nfresh\n", w)) for w in ("\na\n", "\nb\n"))
    assert same == other
    assert "echo fresh" in same
    assert MAKE["compared"](made.replace(" output=varies", "")) != same


def test_what_train_says_of_its_speed_is_left_out(ran: Any) -> None:
    said = (
        "A step: 173 rows\\nA step takes 4 ms: about 0.1 minutes to go\\n"
        "step   250  training 2.598  held out 2.710  7,015 tokens/s\\n"
        "Held-out loss 1.790 after 3000 steps and 7.2 minutes; it beats bigram counts"
    )
    made = ran(f"```bash\nprintf '{said}'\n```\n")
    assert made.split("```text\n")[1].splitlines() == [
        "A step: 173 rows",
        "step   250  training 2.598  held out 2.710",
        "Held-out loss 1.790 after 3000 steps; it beats bigram counts",
        "```",
    ]


def test_a_picture_is_the_one_file_that_its_link_names(ran: Any, tmp_path: Path) -> None:
    shown = "![Loss](page/b/loss.svg)\n![Kept](../gallery/gpt.svg)\n"
    draw = (
        "```bash\nmkdir -p runs/a runs/b\necho 1 > runs/a/loss.svg\necho 2 > runs/b/loss.svg\n```\n"
    )
    page = tmp_path / "page.md"
    ran(draw, shown, keep=lambda folder: MAKE["keep_pictures"](page, folder))
    assert (tmp_path / "page" / "b" / "loss.svg").read_text() == "2\n"
    over = draw + "```bash\necho 3 > loss.svg\n```\n![Loss](page/loss.svg)\n"
    ran(over, keep=lambda folder: MAKE["keep_pictures"](page, folder))
    assert (tmp_path / "page" / "loss.svg").read_text() == "3\n"
    with pytest.raises(LookupError, match=r"shows loss\.svg; the program left 2"):
        ran(draw, "![Loss](loss.svg)", keep=lambda folder: MAKE["pictures"](page, folder))


def test_a_block_that_is_a_file_is_written_and_imported(ran: Any) -> None:
    made = ran(
        "```python file=shown_part.py\nprint('read')\nTHREE = 3\n```\n",
        "```python\nfrom shown_part import THREE\nprint(THREE)\n```\n",
    )
    assert "THREE = 3\n```\n\n```python" in made
    assert "```text\nread\n3\n```" in made


def test_check_tells_what_a_page_says_and_its_run_does_not(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint('new word', 7)\n```\n\n```text\nold word 8\n```\n")
    assert MAKE["check"](page) == ["- old", "+ new"]


def test_check_compares_the_lines_of_the_page_that_are_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint('made at page.md:2', 7)\n```\n\n```text\nmade at page.md:1 8\n```\n"
    )
    assert MAKE["check"](page) == ["- page.md:1", "+ page.md:2"]
