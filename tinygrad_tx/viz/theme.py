"""How a picture looks and speaks: colours by what a box does, light and dark; English and Chinese.

Fills differ in lightness as well as hue, so that they are told apart in grey and by people who see
few colours; text always stands in the theme's ink.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LANGUAGES", "THEMES", "Theme", "phrase", "translated"]


@dataclass(frozen=True)
class Theme:
    """fills: by role. changes: by what a rewrite did. cold and hot: the ends of the scale for
    measured boxes."""

    paper: str
    ink: str
    line: str
    frame: str
    fills: Mapping[str, str]
    changes: Mapping[str, str]
    cold: str
    hot: str
    mark: str

    def warm(self, heat: float) -> str:
        """The colour `heat` of the way from cold to hot."""
        ends = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (self.cold, self.hot)]
        mixed = (round(a + (b - a) * heat) for a, b in zip(*ends, strict=True))
        return "#" + "".join(f"{c:02x}" for c in mixed)


# After the figures of Vaswani et al. 2017.
THEMES = {
    "light": Theme(
        paper="#ffffff",
        ink="#1d1d1f",
        line="#6a6a6a",
        frame="#f7f7f7",
        fills={
            "attention": "#ffd9a8",
            "norm": "#f4f6c8",
            "embedding": "#f9dfe3",
            "product": "#bfe3f5",
            "other": "#e9e9e9",
            "sign": "#ffffff",
            "parameter": "#ffffff",
            "data": "#eef3fa",
            "corpus": "#dbe7f5",
            "process": "#d8ecd0",
            "model": "#e3dbf5",
            "text": "#fdfdf6",
        },
        # Orange and blue stay apart for people who see no red or no green.
        changes={
            "kept": "#efefef",
            "moved": "#fdf0b2",
            "gone": "#f4c3a0",
            "new": "#8fc6ea",
            "group": "#fdf0b2",
        },
        cold="#fdf3e3",
        hot="#e07b39",
        mark="#ffb3b3",
    ),
    "dark": Theme(
        paper="#16181c",
        ink="#f2f2f2",
        line="#9aa0a6",
        frame="#1f2227",
        fills={
            "attention": "#8a5312",
            "norm": "#5d6120",
            "embedding": "#7a3d48",
            "product": "#1d5876",
            "other": "#3a3d42",
            "sign": "#16181c",
            "parameter": "#16181c",
            "data": "#27303d",
            "corpus": "#24405f",
            "process": "#2f5026",
            "model": "#4c3b73",
            "text": "#26272b",
        },
        changes={
            "kept": "#303338",
            "moved": "#655a1c",
            "gone": "#7c3c17",
            "new": "#1f6797",
            "group": "#655a1c",
        },
        cold="#2a2d33",
        hot="#b4531b",
        mark="#8c1d1d",
    ),
}

LANGUAGES = ("en", "zh")
_CHINESE = {
    "Add": "相加",
    "Attention": "注意力",
    "BERT": "BERT",
    "Block": "模块",
    "Concat": "拼接",
    "Context": "上下文表示",
    "Corpus": "语料",
    "Cross Attention": "交叉注意力",
    "Cross Entropy": "交叉熵",
    "Decoder": "解码器",
    "Dropout": "随机失活",
    "Embedding": "嵌入",
    "Encoder": "编码器",
    "Encoder Decoder": "编码器-解码器",
    "Feed Forward": "前馈网络",
    "Fine-tuning": "微调",
    "L2 norms": "L2 范数",
    "Language Model": "语言模型",
    "Layer Norm": "层归一化",
    "Linear": "线性变换",
    "MatMul": "矩阵乘",
    "Multi Head Attention": "多头注意力",
    "Output": "输出",
    "Position": "位置编码",
    "Pretraining": "预训练",
    "Prompt": "提示",
    "RMS Norm": "均方根归一化",
    "Softmax": "归一化指数",
    "Task Model": "任务模型",
    "after": "之后",
    "ahead": "个之后",
    "attention weights of each head": "各头的注意力权重",
    "back": "个之前",
    "backward": "反向传播",
    "before": "之前",
    "bigram counts": "二元计数",
    "bold": "粗线",
    "boxes": "个框",
    "cell": "单元格",
    "changed since": "此后有改动",
    "characters": "个字符",
    "colour": "颜色",
    "columns": "列",
    "context": "上下文",
    "dashed": "虚线",
    "dotted": "点线",
    "every value is finite": "所有值均有限",
    "examples": "样例",
    "first not finite": "首个非有限值",
    "forward": "前向传播",
    "gone": "消去",
    "gradient": "梯度",
    "gradient not finite": "梯度非有限",
    "gradient vanishes": "梯度消失",
    "group": "融合组",
    "groups": "融合组",
    "head": "头",
    "heads": "头",
    "held out": "留出",
    "held-out loss": "留出损失",
    "hottest": "最大值",
    "hours": "小时",
    "input": "输入",
    "interrupted": "已中断",
    "kept": "保留",
    "key": "键",
    "keys": "个键",
    "layer": "层",
    "layers": "层",
    "least … greatest": "最小 … 最大",
    "linear scale": "线性刻度",
    "log scale": "对数刻度",
    "made at": "位置",
    "masked": "已掩蔽",
    "mean": "均值",
    "minutes": "分钟",
    "moved": "并入融合组",
    "moved into a group": "并入融合组",
    "moved into groups": "并入融合组",
    "new": "新增",
    "not finite": "非有限值",
    "not found": "未找到",
    "not recorded": "未记录",
    "nothing changed": "没有变化",
    "on itself": "自身",
    "on the parent's corpus": "在父语料上",
    "operations before": "个原有运算",
    "output": "输出",
    "parameters": "个参数",
    "queries": "个查询",
    "repeated blocks": "重复模块",
    "rows": "行",
    "same weights": "共享权重",
    "seconds": "秒",
    "shown": "显示",
    "standard deviation σ": "标准差 σ",
    "steps": "步",
    "temperature": "温度",
    "the sum of the outputs": "输出之和",
    "tokens": "词元",
    "tokens seen": "个词元已见",
    "weight": "权重",
    "what each box gives out": "各框的输出",
    "width": "宽度",
    "zeros": "零值",
    "‖∇ output‖": "‖∇ 输出‖",
    "‖∇ weights‖": "‖∇ 权重‖",
}


_NUMBER = re.compile(r"([\d,.]+) (.+)|(.+) ([\d,.]+)")


def phrase(text: str, language: str) -> str:
    """Translates what is put together of known words: `12 layers`, `group 3`, `loss: 2.1`.

    Parts stand between line ends, `; `, `, `, ` → ` and `: `; unknown ones stay as they are.
    """
    if language == "en":
        return text
    parts = re.split(r"(\n|; |, |→ | → |: )", text)
    return "".join(_part(p, language) for p in parts)


def _part(text: str, language: str) -> str:
    known = translated(text, language)
    found = _NUMBER.fullmatch(text)
    if known != text or found is None:
        return known
    number, unit, word, last = found.groups()
    pair = (number, translated(unit, language)) if number else (translated(word, language), last)
    return " ".join(pair)


def translated(word: str, language: str) -> str:
    """A title in another language, where the field has a word for it."""
    return _CHINESE.get(word, word) if language == "zh" else word
