"""How a picture looks and speaks: colours by what a box does, light and dark; English and Chinese.

Fills differ in lightness as well as hue, so that they are told apart in grey and by people who see
few colours; text always stands in the theme's ink.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LANGUAGES", "THEMES", "Theme", "translated"]


@dataclass(frozen=True)
class Theme:
    """fills: by role. cold and hot: the ends of the scale for measured boxes."""

    paper: str
    ink: str
    line: str
    frame: str
    fills: Mapping[str, str]
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
    "Cross Attention": "交叉注意力",
    "Cross Entropy": "交叉熵",
    "Decoder": "解码器",
    "Dropout": "随机失活",
    "Embedding": "嵌入",
    "Encoder": "编码器",
    "Encoder Decoder": "编码器-解码器",
    "Feed Forward": "前馈网络",
    "Layer Norm": "层归一化",
    "Linear": "线性变换",
    "MatMul": "矩阵乘",
    "Multi Head Attention": "多头注意力",
    "Position": "位置编码",
    "RMS Norm": "均方根归一化",
    "Softmax": "归一化指数",
    "backward": "反向传播",
    "forward": "前向传播",
    "input": "输入",
    "output": "输出",
    "same weights": "共享权重",
    "tokens": "词元",
    "weight": "权重",
}


def translated(word: str, language: str) -> str:
    """A title in another language, where the field has a word for it."""
    return _CHINESE.get(word, word) if language == "zh" else word
