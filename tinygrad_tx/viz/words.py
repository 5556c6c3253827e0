"""What a picture says, in English and in Chinese: the field's words for what is drawn."""

from __future__ import annotations

import re

__all__ = ["LANGUAGES", "phrase", "translated"]

LANGUAGES = ("en", "zh")
_CHINESE = {
    "Add": "相加",
    "Attention": "注意力",
    "BERT Encoder": "BERT 编码器",
    "BERT": "BERT",
    "Bias": "偏置",
    "Block": "模块",
    "Concat": "拼接",
    "Context": "上下文表示",
    "Corpus": "语料",
    "Cross Attention": "交叉注意力",
    "Cross Entropy": "交叉熵",
    "Decoder Block": "解码器模块",
    "Decoder": "解码器",
    "Dropout": "随机失活",
    "Embedding": "嵌入",
    "Encoder Block": "编码器模块",
    "Encoder Decoder": "编码器-解码器",
    "Encoder": "编码器",
    "Feed Forward": "前馈网络",
    "Fine-tuning": "微调",
    "Key": "键",
    "L2 norms": "L2 范数",
    "Language Model": "语言模型",
    "Layer Norm": "层归一化",
    "Linear": "线性变换",
    "Mask": "掩码",
    "Masked Word Head": "掩码词预测头",
    "MatMul": "矩阵乘",
    "Multi Head Attention": "多头注意力",
    "Output": "输出",
    "Pooler": "池化",
    "Position": "位置编码",
    "Pretraining": "预训练",
    "Prompt": "提示",
    "Query": "查询",
    "RMS Norm": "均方根归一化",
    "Relative Bias": "相对位置偏置",
    "Rotary": "旋转位置编码",
    "Scale": "缩放",
    "Scaled Dot Product Attention": "缩放点积注意力",
    "Sinusoidal": "正弦位置编码",
    "Softmax": "归一化指数",
    "Sum": "求和",
    "Tanh": "双曲正切",
    "Task Model": "任务模型",
    "Value": "值",
    "after": "之后",
    "ahead": "个之后",
    "attention norm": "注意力归一化",
    "attention weights of each head": "各头的注意力权重",
    "attention": "注意力",
    "back": "个之前",
    "backward": "反向传播",
    "before": "之前",
    "bigram counts": "二元计数",
    "bold": "粗线",
    "boxes": "个框",
    "cell": "单元格",
    "changed since": "此后有改动",
    "characters": "个字符",
    "classifier": "分类器",
    "colour": "颜色",
    "columns": "列",
    "context": "上下文",
    "cross attention norm": "交叉注意力归一化",
    "dashed": "虚线",
    "dense": "稠密层",
    "dotted": "点线",
    "down": "降维",
    "every value is finite": "所有值均有限",
    "examples": "样例",
    "feed forward norm": "前馈归一化",
    "first not finite": "首个非有限值",
    "forward": "前向传播",
    "gate": "门控",
    "gone": "消去",
    "gradient not finite": "梯度非有限",
    "gradient vanishes": "梯度消失",
    "gradient": "梯度",
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
    "key value": "键·值",
    "key": "键",
    "keys": "个键",
    "layer": "层",
    "layers": "层",
    "least … greatest": "最小 … 最大",
    "linear scale": "线性刻度",
    "log scale": "对数刻度",
    "loss": "损失",
    "made at": "位置",
    "mask": "掩码",
    "masked": "已掩蔽",
    "mean": "均值",
    "minutes": "分钟",
    "moved into a group": "并入融合组",
    "moved into groups": "并入融合组",
    "moved": "并入融合组",
    "new": "新增",
    "next sentence": "下一句预测",
    "norm": "归一化",
    "not finite": "非有限值",
    "not found": "未找到",
    "not recorded": "未记录",
    "nothing changed": "没有变化",
    "on itself": "自身",
    "on the parent's corpus": "在父语料上",
    "operations before": "个原有运算",
    "output": "输出",
    "parameters": "个参数",
    "pattern": "注意力分布",
    "pooled": "池化",
    "position": "位置",
    "projection": "输出投影",
    "qkv": "查询·键·值",
    "queries": "个查询",
    "query": "查询",
    "repeated blocks": "重复模块",
    "rows": "行",
    "same weights": "共享权重",
    "scores": "得分",
    "seconds": "秒",
    "segment": "片段",
    "segments": "片段",
    "shown": "显示",
    "source": "源序列",
    "standard deviation σ": "标准差 σ",
    "steps": "步",
    "target": "目标序列",
    "temperature": "温度",
    "the sum of the outputs": "输出之和",
    "tokens seen": "个词元已见",
    "tokens": "词元",
    "up": "升维",
    "value": "值",
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
