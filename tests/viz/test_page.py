"""The page as people use it: a real browser, real clicks, keys and fingers; nothing leaves it."""

from __future__ import annotations

import math
import re
import shutil
import socket
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.viz.blocks_view import blocks_picture
from tinygrad_tx.viz.dot import id_of
from tinygrad_tx.viz.facts import place_of
from tinygrad_tx.viz.opened import open_attention
from tinygrad_tx.viz.picture import Arrow, Box, Picture, frames_in
from tinygrad_tx.viz.render import Drawing
from tinygrad_tx.viz.sheets import MOST_PARTS, of_modules, of_whole, sheets_of
from tinygrad_tx.viz.subject import Subject
from tinygrad_tx.viz.theme import THEMES

TOKENS = np.zeros((2, 8), np.int64)
CHROMIUM = shutil.which("chromium")
# No network of its own, and a new empty profile (playwright makes one).
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Open = Callable[..., Any]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


def gpt(layers: int = 3) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(17, 8, layers, 2, 32))


def drawn(target: Any, path: Path | None = None, **options: Any) -> Drawing:
    drawing = tx.draw(target, path, **options)
    assert isinstance(drawing, Drawing)
    return drawing


def box_called(picture: Picture, title: str) -> Box:
    return next(box for box in picture.boxes.values() if box.title == title)


# --- what a page is made of: no browser


def sheets_of_gpt(layers: int) -> list[Picture]:
    subject = Subject(gpt(layers), (TOKENS,))

    def remake(opened: Any) -> Picture:
        return blocks_picture(open_attention(subject.nodes, opened), subject.names, opened, False)[
            0
        ]

    return sheets_of(remake(1), of_modules(remake))


def test_every_state_of_a_gpt_has_its_sheet_however_many_blocks_there_are() -> None:
    """Block closed; else attention closed, open, or open to its products; feed forward or not."""
    states = [
        {"/".join(frame) for frame in frames_in(picture)} for picture in sheets_of_gpt(layers=5)
    ]
    block, attention = "blocks.0", "blocks.0/attention"
    inside, feed = f"{attention}/scaled_dot_product_attention", f"{block}/feed_forward"
    wanted: list[set[str]] = [set()]
    for deep in ([], [attention], [attention, inside]):
        wanted += [{block, *deep}, {block, feed, *deep}]
    assert sorted(map(sorted, states)) == sorted(map(sorted, wanted))


def test_one_box_opens_alone() -> None:
    subject = Subject(gpt(4), (TOKENS,))
    opened = frozenset(("blocks.*", "blocks.*.attention"))
    picture, _ = blocks_picture(subject.nodes, subject.names, opened, False)
    assert picture.frames[("blocks.0",)].endswith("× 4")
    assert "box blocks.0.feed_forward" in picture.boxes
    assert "box blocks.0.attention" not in picture.boxes
    assert picture.boxes["box blocks.0.feed_forward"].opens == "blocks.*.feed_forward"
    assert picture.boxes["box blocks.0.attention_norm"].opens == ""


def test_a_depth_and_the_modules_above_it_draw_the_same() -> None:
    subject = Subject(gpt(2), (TOKENS,))
    by_depth, _ = blocks_picture(subject.nodes, subject.names, 2, False)
    names = frozenset(("blocks.*", "blocks.*.attention", "blocks.*.feed_forward"))
    by_name, _ = blocks_picture(subject.nodes, subject.names, names, False)
    assert by_depth.boxes == by_name.boxes
    assert by_depth.arrows == by_name.arrows


def test_frames_of_any_picture_fold_each_by_itself() -> None:
    boxes = {f"b{i}": Box(f"b{i}", "b", "other", ("outer", f"inner{i % 3}")) for i in range(9)}
    picture = Picture("p", boxes, [Arrow("b0", "b1"), Arrow("b1", "b5")])
    opening = of_whole(picture)
    states = {opening.of(sheet) for sheet in sheets_of(picture, opening)}
    inner = [f"outer.inner{i}" for i in range(3)]
    subsets = [{n for i, n in enumerate(inner) if bits >> i & 1} for bits in range(8)]
    assert states == {frozenset(), *(frozenset({"outer", *s}) for s in subsets)}


def test_many_sheets_stay_within_their_room() -> None:
    boxes = {f"b{i}": Box(f"b{i}", "b", "other", (f"f{i // 20}", f"g{i // 4}")) for i in range(400)}
    picture = Picture("p", boxes, [Arrow(f"b{i}", f"b{i + 1}") for i in range(399)])
    sheets = sheets_of(picture, of_whole(picture))
    assert sheets[0] is picture
    opening = of_whole(picture)
    alone = {frozenset((f"f{i}",)) for i in range(20)}
    assert alone <= {opening.of(sheet) for sheet in sheets}
    assert sum(len(s.boxes) + len(s.arrows) + len(frames_in(s)) for s in sheets) <= MOST_PARTS


def test_facts_give_the_place_without_the_folders_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "work" / "code" / "step.py"
    monkeypatch.chdir(tmp_path)
    assert place_of(f"{source}:7") == "work/code/step.py:7"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert place_of(f"{source}:7") == "code/step.py:7"
    monkeypatch.chdir("/")  # from here the path would name every folder
    assert place_of(f"{source}:7") == "code/step.py:7"
    assert place_of("<string>:7") == "<string>:7"


def test_a_box_tells_the_parameters_and_the_work_of_its_module() -> None:
    model = gpt(1)
    box = box_called(drawn(model, inputs=(TOKENS,)).picture, "Feed Forward")
    trained = sum(p.size for n, p in model.named_parameters() if ".feed_forward." in n)
    assert dict(box.facts)["parameters"] == f"{trained:,}"
    # Two products of 16 rows, 32 x 128 and 128 x 32, and what little stands between them.
    products = 2 * 2 * 16 * 32 * 128
    number, unit = dict(box.facts)["work"].split(" ")
    assert unit == "kFLOP"
    assert products <= float(number) * 1000 <= 1.2 * products


@pytest.mark.parametrize("renderer", ["dot", "graphviz-pure"])
def test_control_characters_leave_a_readable_svg(
    renderer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if renderer == "dot" and shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    monkeypatch.setattr("tinygrad_tx.viz.render.RENDERERS", (renderer,))
    title = "a\x00b\x08c\x1bd\x7fe\ud800f\ufffeg\rh"
    picture = Picture(title, {"k": Box("k", title, "other", (), (title,), (("f", title),))}, [])
    drawing = Drawing(picture)
    shown = "".join(ET.fromstring(drawing.svg).itertext())
    assert "a␀b␈c␛d␡e�f�g␍h" in shown
    drawing.html.encode()
    drawing.mermaid.encode()


def test_a_page_names_no_address_and_lets_only_its_own_script_run() -> None:
    page = drawn(gpt(1), inputs=(TOKENS,)).html
    addresses = set(re.findall(r"""https?://[^\s"'<>)]+""", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of SVG, never asked for
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-", page)
    assert not re.search(r"<[^>]* on\w+=", page.split('id="data">')[0])
    assert len(page) < 400_000


# --- in the browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    with api.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a drawing as a page; at the end nothing has left it and nothing went wrong."""
    pages: list[tuple[Any, list[str], list[str]]] = []

    def start(drawing: Drawing, **options: Any) -> Any:
        path = tmp_path / f"page{len(pages)}.html"
        drawing.save(path)
        options.setdefault("viewport", {"width": 1280, "height": 800})
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(10_000)
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        pages.append((page, asked, said))
        return page

    yield start
    for page, asked, said in pages:
        assert said == []
        assert [url for url in asked if not url.startswith(("blob:", "file:"))] == []
        assert len([url for url in asked if url.startswith("file:")]) == 1
        assert page.evaluate("performance.getEntriesByType('resource').length") == 0
        page.context.close()


def part(page: Any, key: str) -> Any:
    return page.locator(f'.sheet:not([hidden]) [data-key="{key}"]')


def box_part(page: Any, key: str) -> Any:
    return part(page, id_of(key))


def centre_of(locator: Any) -> tuple[float, float]:
    place = locator.bounding_box()
    return place["x"] + place["width"] / 2, place["y"] + place["height"] / 2


def scale_of(page: Any) -> float:
    return float(
        page.evaluate("document.querySelector('.sheet:not([hidden]) svg').getScreenCTM().a")
    )


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.dataset.key ?? document.activeElement.id"))


def panel(page: Any) -> str:
    return str(page.inner_text("#facts"))


ATTENTION, FEED = "box blocks.0.attention", "box blocks.0.feed_forward"
ATTENTION_FRAME = f"cluster_{id_of('blocks.0.attention')}"


def browser_test(test: Callable[..., None]) -> Callable[..., None]:
    marked: Callable[..., None] = pytest.mark.slow(needs_chromium(test))
    return marked


@browser_test
@pytest.mark.parametrize("how", ["double click", "mark", "Enter", "o", "panel"])
def test_a_box_opens_alone_where_it_stands(opened: Open, how: str) -> None:
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    box = box_part(page, ATTENTION)
    assert box.get_attribute("aria-expanded") == "false"
    before, scale = centre_of(box), scale_of(page)
    if how == "double click":
        box.dblclick()
    elif how == "mark":
        box.locator(".mark").click()
    else:
        box.click()
        if how == "panel":
            page.get_by_role("button", name="Open", exact=True).click()
        else:
            page.keyboard.press(how)
    frame = part(page, ATTENTION_FRAME)
    assert frame.get_attribute("aria-expanded") == "true"
    assert math.dist(before, centre_of(frame)) < 25  # its title and mark are not symmetric
    assert scale_of(page) == pytest.approx(scale)
    assert focused(page) == ATTENTION_FRAME
    assert box_part(page, FEED).count() == 1
    assert box_part(page, ATTENTION).count() == 0


@browser_test
@pytest.mark.parametrize("how", ["title", "mark", "c", "Enter"])
def test_a_frame_folds_back_into_its_box(opened: Open, how: str) -> None:
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    box_part(page, ATTENTION).dblclick()
    frame = part(page, ATTENTION_FRAME)
    before = centre_of(frame)
    if how == "title":
        frame.locator("text").dblclick()
    elif how == "mark":
        frame.locator(".mark").click()
    else:
        page.keyboard.press(how)
    assert math.dist(before, centre_of(box_part(page, ATTENTION))) < 25
    assert focused(page) == id_of(ATTENTION)
    assert part(page, ATTENTION_FRAME).count() == 0


@browser_test
def test_opening_goes_on_inside_and_c_folds_what_is_around(opened: Open) -> None:
    """Figure 2 of Vaswani et al. 2017 inside figure 1, the feed forward beside it left alone."""
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    box_part(page, ATTENTION).dblclick()
    page.locator('.sheet:not([hidden]) .node[aria-label^="Attention"]').dblclick()
    assert page.locator('.sheet:not([hidden]) .node[aria-label^="Softmax"]').count() == 1
    assert box_part(page, FEED).count() == 1
    page.locator('.sheet:not([hidden]) .node[aria-label^="Softmax"]').click()
    page.keyboard.press("c")
    assert page.locator('.sheet:not([hidden]) .node[aria-label^="Softmax"]').count() == 0
    assert part(page, ATTENTION_FRAME).count() == 1


@browser_test
def test_detail_goes_up_and_down_everywhere(opened: Open) -> None:
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    frames = page.locator(".sheet:not([hidden]) .cluster")
    counts = [frames.count()]
    for _ in range(3):
        page.keyboard.press("]")
        counts.append(frames.count())
    assert counts == [1, 3, 4, 4]  # block; attention and feed forward; the products of attention
    assert page.locator("#more").is_disabled()
    for _ in range(4):
        page.keyboard.press("[")
        counts.append(frames.count())
    assert counts[4:] == [3, 1, 0, 0]
    assert page.locator("#less").is_disabled()


@browser_test
def test_arrow_keys_follow_the_arrows_and_else_move_the_picture(opened: Open) -> None:
    drawing = drawn(gpt(), inputs=(TOKENS,))
    page = opened(drawing)
    view = "document.querySelector('.sheet:not([hidden]) svg').getAttribute('viewBox')"
    before = page.evaluate(view)
    page.keyboard.press("ArrowRight")
    assert page.evaluate(view) != before
    while focused(page) != "input__input_1":  # the tab order: header, then one stop in the drawing
        page.keyboard.press("Tab")
    joined = {(id_of(a.source), id_of(a.target)) for a in drawing.picture.arrows}
    path = [focused(page)]
    while not path[-1].startswith("output"):
        page.keyboard.press("ArrowUp")
        path.append(focused(page))
        assert (path[-2], path[-1]) in joined
    while len(path) > 1 and not path[-1].startswith("input"):
        page.keyboard.press("ArrowDown")
        path.append(focused(page))
        assert (path[-1], path[-2]) in joined
    page.keyboard.press("End")
    assert focused(page).startswith("output")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.activeElement.closest('#stage') !== null")
    assert not inside  # one stop, so that the way out is short


@browser_test
def test_pointing_at_a_box_says_what_it_is_and_lights_what_comes_and_goes(opened: Open) -> None:
    model = gpt()
    drawing = drawn(model, inputs=(TOKENS,))
    page = opened(drawing)
    for how in ("hover", "focus"):
        box = box_part(page, ATTENTION)
        getattr(box, how)()
        trained = sum(p.size for n, p in model.named_parameters() if "blocks.0.attention." in n)
        for word in (
            "Multi Head Attention",
            "blocks.0.attention",
            "float32 2×8×32",
            f"{trained:,}",
        ):
            assert word in panel(page)
        assert "FLOP" in panel(page)
        for name, ends in (("comes", "target"), ("goes", "source")):
            lit = page.locator(f".sheet:not([hidden]) .edge.{name}")
            keys = {lit.nth(i).get_attribute("data-key") for i in range(lit.count())}
            assert keys == {
                f"{id_of(a.source)}->{id_of(a.target)}"
                for a in drawing.picture.arrows
                if getattr(a, ends) == ATTENTION
            }
        page.mouse.move(5, 400)
    box_part(page, "box blocks.0.attention_norm").hover()
    assert "(x - μ) / √(σ² + ε)" in panel(page)


@browser_test
def test_pointing_at_an_arrow_says_what_flows(opened: Open) -> None:
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    arrow = part(page, f"{id_of('box blocks.0.attention_norm')}->{id_of(ATTENTION)}")
    page.mouse.move(*centre_of(arrow))
    assert "Layer Norm → Multi Head Attention" in panel(page)
    assert "float32 2×8×32" in panel(page)


@browser_test
@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("layer norm", 3),
        ("blocks.0.attention", 2),
        ("blocks.2.feed", 2),
        ("take", 2),
        ("2x8x17", 1),
    ],
)
def test_search_finds_by_title_module_operation_and_shape(
    opened: Open, words: str, count: int
) -> None:
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    page.keyboard.press("/")
    page.keyboard.type(words)
    hits = page.locator(".sheet:not([hidden]) .node.hit")
    assert hits.count() == count
    assert page.inner_text("#found") == f"1 of {count}"
    for number in (*range(2, count + 1), 1):
        page.keyboard.press("Enter")
        assert page.inner_text("#found") == f"{number} of {count}"
    page.keyboard.press("Shift+Enter")
    assert page.inner_text("#found") == f"{count} of {count}"
    opacity = "getComputedStyle(document.querySelector('.sheet:not([hidden]) .edge')).opacity"
    assert float(page.evaluate(opacity)) < 0.5
    page.keyboard.press("Escape")
    assert hits.count() == 0
    assert float(page.evaluate(opacity)) == 1


@browser_test
def test_search_offers_what_lies_inside_a_closed_box(opened: Open) -> None:
    page = opened(drawn(gpt(), inputs=(TOKENS,)))
    page.fill("#search", "softmax")
    assert page.inner_text("#found") == "only in closed boxes"
    offer = page.get_by_role("button", name="Softmax, inside Multi Head Attention: open")
    offer.click()
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("Softmax")
    assert box_part(page, FEED).count() == 1
    page.keyboard.press("[")
    page.keyboard.press("[")
    page.fill("#search", "feed_forward.up")
    page.get_by_role("button", name=re.compile("^Linear blocks.0.feed_forward.up, ")).click()
    assert focused(page) == id_of("box blocks.0.feed_forward.up")
    page.fill("#search", "no such thing")
    assert page.inner_text("#found") == "nothing found"


def fill_of(page: Any, key: str) -> str:
    shape = box_part(page, key).locator("path, polygon, ellipse").first
    red, green, blue = re.findall(r"\d+", shape.evaluate("e => getComputedStyle(e).fill"))[:3]
    return f"#{int(red):02x}{int(green):02x}{int(blue):02x}"


@browser_test
def test_a_page_follows_the_reader_unless_a_theme_was_chosen(opened: Open) -> None:
    fills = {name: theme.fills["attention"] for name, theme in THEMES.items()}
    for system in ("light", "dark"):
        page = opened(drawn(gpt(1), inputs=(TOKENS,)), color_scheme=system)
        other = "dark" if system == "light" else "light"
        assert fill_of(page, ATTENTION) == fills[system]
        page.click("#theme")
        assert fill_of(page, ATTENTION) == fills[other]
        page.keyboard.press("t")
        assert fill_of(page, ATTENTION) == fills[system]
        for chosen in ("light", "dark"):
            fixed = opened(drawn(gpt(1), inputs=(TOKENS,), theme=chosen), color_scheme=system)
            assert fill_of(fixed, ATTENTION) == fills[chosen]


@browser_test
def test_the_legend_has_what_the_picture_has(opened: Open) -> None:
    drawing = drawn(gpt(1), inputs=(TOKENS,))
    page = opened(drawing)
    rows = page.locator("#legend li:visible")
    shown = {rows.nth(i).get_attribute("data-use") for i in range(rows.count())}
    roles = {box.role for box in drawing.picture.boxes.values()} - {"input", "output"}
    assert shown == roles | {arrow.link for arrow in drawing.picture.arrows} | {"opens"}
    swatch = page.locator("#legend .attention")
    colour = swatch.evaluate("e => getComputedStyle(e).backgroundColor")
    assert re.findall(r"\d+", colour) == [
        str(c) for c in bytes.fromhex(THEMES["light"].fills["attention"][1:])
    ]


@browser_test
def test_the_picture_is_saved_and_its_dot_copied(opened: Open, tmp_path: Path) -> None:
    drawing = drawn(gpt(1), inputs=(TOKENS,))
    page = opened(drawing, permissions=["clipboard-read", "clipboard-write"], color_scheme="dark")
    with page.expect_download() as started:
        page.click("#save")
    started.value.save_as(tmp_path / "saved.svg")
    text = (tmp_path / "saved.svg").read_text()
    root = ET.fromstring(text)
    words = "".join(root.itertext())
    assert "Multi Head Attention" in words
    assert "var(" not in text
    assert THEMES["dark"].fills["attention"] in text
    page.click("#dot")
    assert page.evaluate("navigator.clipboard.readText()") == drawing.dot
    assert page.inner_text("#note") == "DOT copied"


@browser_test
def test_wheel_zooms_at_the_pointer_and_dragging_moves(opened: Open) -> None:
    page = opened(drawn(gpt(1), inputs=(TOKENS,)))
    box = box_part(page, ATTENTION)
    at, scale = centre_of(box), scale_of(page)
    page.mouse.move(*at)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"{scale} * 1.1 < document.querySelector('svg').getScreenCTM().a")
    assert math.dist(at, centre_of(box)) < 2
    page.mouse.down()
    page.mouse.move(at[0] + 60, at[1] - 40, steps=4)
    page.mouse.up()
    assert centre_of(box) == pytest.approx((at[0] + 60, at[1] - 40), abs=6)
    assert page.locator(".chosen").count() == 0  # what is dragged is not chosen
    page.keyboard.press("0")
    assert scale_of(page) == pytest.approx(scale)


@browser_test
def test_the_page_on_a_phone(opened: Open) -> None:
    """A tap chooses, two taps open, two fingers zoom; nothing is wider than the screen."""
    size = {"width": 390, "height": 844}
    page = opened(drawn(gpt(), inputs=(TOKENS,)), viewport=size, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box_part(page, ATTENTION).tap()
    assert "blocks.0.attention" in panel(page)
    place = page.locator("#facts").bounding_box()
    assert centre_of(box_part(page, ATTENTION))[1] < place["y"]  # not covered
    page.wait_for_timeout(600)  # the next two taps are two, not three
    x, y = centre_of(box_part(page, ATTENTION))
    page.touchscreen.tap(x, y)
    page.touchscreen.tap(x, y)
    assert part(page, ATTENTION_FRAME).count() == 1
    scale = scale_of(page)
    session = page.context.new_cdp_session(page)
    for kind, gap in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60)):
        points = [{"x": 195 - gap, "y": 250, "id": 1}, {"x": 195 + gap, "y": 250, "id": 2}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert scale_of(page) > 1.5 * scale


@browser_test
def test_help_opens_by_key_and_closes_again(opened: Open) -> None:
    page = opened(drawn(gpt(1), inputs=(TOKENS,)))
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    for word in ("Home", "Esc", "/"):
        assert word in page.inner_text("#keys")
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


@browser_test
def test_everything_to_press_has_a_name_and_focus_is_seen(opened: Open) -> None:
    page = opened(drawn(gpt(1), inputs=(TOKENS,)))
    nameless = page.evaluate("""
        [...document.querySelectorAll("button, input, [role=button]")].filter((e) =>
          !(e.getAttribute("aria-label") || e.textContent.trim())).length""")
    assert nameless == 0
    for _ in range(4):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    page.keyboard.press("Escape")
    box_part(page, FEED).focus()
    page.keyboard.press("ArrowUp")
    width = "getComputedStyle(document.activeElement.querySelector('ellipse')).strokeWidth"
    assert page.evaluate(width) == "2.5px"


@browser_test
def test_less_motion_where_asked_and_paper_has_the_picture_alone(opened: Open) -> None:
    for motion, name in (("reduce", "none"), ("no-preference", "fresh")):
        page = opened(drawn(gpt(1), inputs=(TOKENS,)), reduced_motion=motion, color_scheme="dark")
        box_part(page, ATTENTION).dblclick()
        page.wait_for_selector(".fresh")
        moving = f"document.querySelector('[data-key={ATTENTION_FRAME}] path')"
        assert page.evaluate(f"getComputedStyle({moving}).animationName") == name
    page.keyboard.press("t")
    page.keyboard.press("t")
    assert fill_of(page, FEED) == THEMES["dark"].fills["product"]
    page.emulate_media(media="print")
    assert not page.locator("header").is_visible()
    assert not page.locator("aside").is_visible()
    assert fill_of(page, FEED) == THEMES["light"].fills["product"]


@browser_test
def test_the_page_speaks_chinese(opened: Open) -> None:
    page = opened(drawn(gpt(1), inputs=(TOKENS,), lang="zh"))
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    box_part(page, ATTENTION).hover()
    for word in ("多头注意力", "模块", "结果", "参数量", "展开"):
        assert word in panel(page)
    page.keyboard.press("?")
    said = page.inner_text("#legend") + "".join(page.locator("#keys dd").all_inner_texts())
    assert set(re.findall(r"[A-Za-z]{3,}", said)) == {"SVG", "DOT"}
    page.keyboard.press("Escape")
    page.fill("#search", "注意力")
    assert page.inner_text("#found") == "第 1 个，共 1 个"


@browser_test
def test_without_scripts_the_picture_is_still_there(opened: Open) -> None:
    page = opened(drawn(gpt(1), inputs=(TOKENS,)), java_script_enabled=False)
    assert page.locator("svg text", has_text="Multi Head Attention").first.is_visible()


HOSTILE = (
    "</script ><!--\"'><script>document.title='entered'</script><img src=x onerror=alert(1)>\n"
    "👩\u200d🔬 \u202eשלום"
)


@browser_test
def test_names_enter_no_script_and_do_not_turn_the_text_around_them(opened: Open) -> None:
    boxes = {
        "a": Box("a", HOSTILE, "other", (HOSTILE,), (HOSTILE,), (("module", HOSTILE),)),
        "b": Box("b", "b", "other"),
    }
    page = opened(Drawing(Picture("title", boxes, [Arrow("a", "b", HOSTILE, shape=HOSTILE)])))
    assert page.title() == "title"
    assert page.locator("img").count() == 0
    part(page, "a").hover()
    assert HOSTILE.replace("\n", " ")[:40] in panel(page).replace("\n", " ")
    value = page.locator("#facts dd").last
    assert value.evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
    assert (
        part(page, "a").locator("text").first.evaluate("e => getComputedStyle(e).unicodeBidi")
        == "plaintext"
    )


@browser_test
@pytest.mark.parametrize("is_kept", [True, False])
def test_the_policy_stops_what_was_put_into_the_page(
    browser: Any, tmp_path: Path, is_kept: bool
) -> None:
    """With the policy no script runs and no server is asked; without it both happen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1.0 if is_kept else 20.0)
        page = drawn(gpt(1), inputs=(TOKENS,)).html
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        intruder = f"<script>document.title = 'entered'</script><img src='{address}'>"
        page = page.replace("</main>", f"{intruder}</main>")
        if not is_kept:
            page = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
        (tmp_path / "model.html").write_text(page)
        context = browser.new_context()
        visited = context.new_page()
        visited.goto((tmp_path / "model.html").as_uri(), wait_until="commit")
        visited.wait_for_selector("svg")
        try:
            asked, _ = server.accept()
            asked.close()
            is_asked = True
        except TimeoutError:
            is_asked = False
        assert is_asked is not is_kept
        assert visited.title() == ("GPT" if is_kept else "entered")
        context.close()


@browser_test
@pytest.mark.parametrize("view", ["blocks", "ops", "gradient", "program", "rewrite"])
def test_every_view_is_a_page_that_opens_and_folds(opened: Open, view: Any) -> None:
    drawing = drawn(gpt(2), view=view, inputs=(TOKENS,))
    page = opened(drawing)
    boxes = page.locator(".sheet:not([hidden]) .node")
    assert boxes.count() == len(drawing.picture.boxes)
    assert page.evaluate("current.lines.length") == len(drawing.picture.arrows)
    frames = page.locator(".sheet:not([hidden]) .cluster")
    count = frames.count()
    folding = page.locator(".sheet:not([hidden]) .cluster[role=button] .mark").last
    page.keyboard.press("0")
    folding.evaluate("e => e.dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert frames.count() < count
    page.keyboard.press("o")
    assert frames.count() > 0
    assert page.evaluate("chosen !== null")
