"""What a report says of itself, in English and Chinese."""

from __future__ import annotations

from tinygrad_tx.viz.picture import readable

__all__ = ["WORDS", "visible"]

# name: (English, Chinese)
_BOTH = {
    "skip": ("Go to the report", "跳到正文"),
    "contents": ("Contents", "目录"),
    "map": ("Map", "图"),
    "from": ("looks from", "从"),
    "to": ("to", "看向"),
    "title": ("{model}: what it expects, and why", "{model}：它预测什么，为什么"),
    "layer": ("layer {layer}", "第 {layer} 层"),
    "head": ("head {head}", "头 {head}"),
    "layer_head": ("layer {layer}, head {head}", "第 {layer} 层，头 {head}"),
    "feed_forward": ("feed-forward", "前馈网络"),
    "expectations": ("What the model expects", "模型的预测"),
    "about_expectations": (
        "Everything below explains one expectation: “{word}” after the last token.",
        "以下各节都在解释同一个预测：最后一个词元之后是“{word}”。",
    ),
    "surprise": (
        "Surprise at each token, in nats: -log of its probability given those before",
        "每个词元的意外程度（奈特）：其条件概率的负对数",
    ),
    "next": ("After the last token", "最后一个词元之后"),
    "columns_expected": ("token|probability|log-probability", "词元|概率|对数概率"),
    "diagram": ("The model", "模型结构"),
    "about_diagram": (
        "Drawn from the graph that runs. A click on attention or on a feed-forward network leads "
        "to what is known of it.",
        "由实际运行的计算图绘制。点击注意力或前馈网络可跳到相应的分析。",
    ),
    "attention": ("Where attention goes", "注意力分布"),
    "about_attention": (
        "Each row shows how a token spreads its attention over those that it sees. Where a head "
        "looks is not yet why the model says what it says: what it reads there may be ignored, "
        "and other patterns may give the same result (Jain and Wallace 2019).",
        "每一行是一个词元对其可见词元的注意力分配。注意力所在并不等于原因：读到的内容可能被忽略，"
        "不同的注意力也可能得到同样的输出（Jain 与 Wallace 2019）。",
    ),
    "patterns": (
        "Attention of each head; Page Up and Page Down change the map, arrow keys the cell",
        "各头的注意力；PageUp/PageDown 换图，方向键移动单元格",
    ),
    "some_layers": (" ({shown} of {layers} layers shown)", "（显示 {layers} 层中的 {shown} 层）"),
    "parts": ("What each part is good for", "各部分的作用"),
    "about_parts": (
        "By how much the log-probability of “{word}” falls, in nats, when a part gives out zeros. "
        "Negative: the model is surer without it. Parts stand in for each other, so that effects "
        "do not add up; zeros are nothing that the rest has ever seen.",
        "某部分输出置零后，“{word}”的对数概率下降多少（奈特）。负值表示没有它模型反而更确信。"
        "各部分可相互替代，效应不可相加；且零输出是其余部分从未见过的情形。",
    ),
    "without_head": ("Without one head", "去掉一个头"),
    "without_network": ("Without one feed-forward network", "去掉一个前馈网络"),
    "findings": ("Audits", "审计"),
    "about_findings": (
        "What was measured on many examples, with 95 % intervals where there are any.",
        "在大量样本上测得的结果；有区间者为 95% 置信区间。",
    ),
}

WORDS: dict[str, dict[str, str]] = {
    language: {name: pair[i] for name, pair in _BOTH.items()}
    for i, language in enumerate(("en", "zh"))
}

_SIGNS = {"\n": "⏎", "\t": "⇥", "\r": "␍", "": "∅"}


def visible(token: str) -> str:
    """A token as a reader can see it: signs for line ends and tabs, a box for a leading space."""
    if token in _SIGNS:
        return _SIGNS[token]
    text = "".join(_SIGNS.get(c, c) for c in token)
    return readable(text.replace(" ", "␣") if not text.strip(" ") else text)
