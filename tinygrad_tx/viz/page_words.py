"""What a page says, in English and Chinese: buttons, keys, legend, names of facts."""

from __future__ import annotations

__all__ = ["WORDS", "fact_name"]

# name: (English, Chinese); roles, links and changes for the legend, those with "key" for the help.
_BOTH = {
    "search": ("Search", "搜索"),
    "searchHint": ("title, module, operation, shape", "名称、模块、运算、形状"),
    "previous": ("Previous hit", "上一个"),
    "next": ("Next hit", "下一个"),
    "hits": ("{at} of {count}", "第 {at} 个，共 {count} 个"),
    "none": ("nothing found", "没有找到"),
    "only": ("only in closed boxes", "仅在折叠的方框内"),
    "inside": ("{title}, inside {where}: open", "{title}，在 {where} 内：展开"),
    "elsewhere": ("{title}, in another state: show", "{title}，在其他展开状态中：显示"),
    "others": ("and {count} more", "以及另外 {count} 个"),
    "less": ("Less detail", "更简略"),
    "more": ("More detail", "更详细"),
    "out": ("Zoom out", "缩小"),
    "in": ("Zoom in", "放大"),
    "whole": ("Whole picture", "全图"),
    "theme": ("Light or dark", "浅色或深色"),
    "legend": ("Legend", "图例"),
    "save": ("Save SVG", "保存 SVG"),
    "dot": ("Copy DOT", "复制 DOT"),
    "copied": ("DOT copied", "DOT 已复制"),
    "notCopied": ("The browser did not allow copying", "浏览器不允许复制"),
    "help": ("Help", "帮助"),
    "close": ("Close", "关闭"),
    "tools": ("Tools", "工具"),
    "details": ("Details", "详情"),
    "drawing": (
        "Drawing: arrow keys move between boxes, Enter opens",
        "图：方向键在方框间移动，回车展开",
    ),
    "skip": ("Go to the drawing", "跳到图"),
    "open": ("Open", "展开"),
    "fold": ("Fold", "折叠"),
    "closedBox": ("can be opened", "可展开"),
    "openFrame": ("stands open", "已展开"),
    "nothing": (
        "Point at a box or an arrow. Double-click a box with a + to open it.",
        "指向方框或箭头查看详情；双击带 + 的方框即可展开。",
    ),
    "comes": ("comes from", "来自"),
    "goes": ("goes to", "流向"),
    "attention": ("attention", "注意力"),
    "norm": ("normalisation", "归一化"),
    "embedding": ("embedding", "嵌入"),
    "product": ("product of matrices", "矩阵乘"),
    "other": ("other operations", "其他运算"),
    "sign": ("arithmetic", "算术"),
    "parameter": ("parameter", "参数"),
    "data": ("data", "数据"),
    "corpus": ("corpus", "语料"),
    "process": ("process", "过程"),
    "model": ("model", "模型"),
    "text": ("text", "文本"),
    "kept": ("kept", "保留"),
    "moved": ("moved into a group", "并入组内"),
    "gone": ("gone", "已消除"),
    "new": ("new", "新增"),
    "group": ("new group", "新组"),
    "flow": ("a value", "数值"),
    "tied": ("the same weights", "共享权重"),
    "weight": ("a weight", "权重"),
    "back": ("a gradient", "梯度"),
    "saved": ("kept for the backward pass", "为反向传播保存"),
    "heat": ("from least to most", "从最少到最多"),
    "marked": ("marked", "标记"),
    "opens": ("opens: double-click", "可展开：双击"),
    "keyMove": (
        "to the next box along an arrow; without a box: move the picture",
        "沿箭头移动到下一个方框；未选方框时平移",
    ),
    "keyOpen": ("open a box", "展开方框"),
    "keyFold": ("fold what is around it", "折叠其外框"),
    "keyDetail": ("less or more detail everywhere", "整体更简略或更详细"),
    "keyZoom": ("zoom out, in, whole picture", "缩小、放大、全图"),
    "keySearch": ("search; next and previous hit", "搜索；下一个、上一个"),
    "keyEnds": ("first and last box", "第一个和最后一个方框"),
    "keyTheme": ("light or dark", "浅色或深色"),
    "keyLegend": ("legend", "图例"),
    "keyEscape": ("leave, clear", "退出、清除"),
    "pointer": (
        "Wheel or pinch zooms, dragging moves, double-click opens and folds.",
        "滚轮或双指缩放，拖动平移，双击展开或折叠。",
    ),
}

WORDS = {
    language: {name: both[i] for name, both in _BOTH.items()}
    for i, language in enumerate(("en", "zh"))
}

_FACTS = {
    "module": "模块",
    "operations": "运算",
    "result": "结果",
    "formula": "公式",
    "made at": "代码位置",
    "parameters": "参数量",
    "work": "计算量",
    "figure": "数值",
    "step": "步骤",
    "kernel": "内核",
    "shares": "份数",
    "changes": "改变",
}


def fact_name(name: str, language: str) -> str:
    return _FACTS.get(name, name) if language == "zh" else name
