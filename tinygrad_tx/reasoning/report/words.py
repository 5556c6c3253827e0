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
    "layers": ("What each layer would say", "每一层会说什么"),
    "about_layers": (
        "The logit lens reads the residual stream after each block as if it were the last "
        "(nostalgebraist 2020). Early layers need not write in the directions that the output "
        "reads: nonsense there is not yet a fault.",
        "对数几率透镜把每个模块之后的残差流当作最后一层来读（nostalgebraist 2020）。"
        "前面的层不一定用输出所读的方向书写：那里读出无意义的词并不说明有错。",
    ),
    "lens": (
        "Likeliest token after each one, by layer; colour: its probability",
        "各层在每个词元之后最可能的词元；颜色表示概率",
    ),
    "followed": ("“{word}” after the last token", "最后一个词元之后的“{word}”"),
    "probability": ("probability", "概率"),
    "rank": ("rank", "名次"),
    "entropy": ("entropy, nats", "熵（奈特）"),
    "divergence": ("KL to the end, nats", "与最终分布的 KL（奈特）"),
    "sources": ("Which tokens it comes from", "预测来自哪些词元"),
    "about_sources": (
        "How much each token did for the logit of “{word}”: orange for it, blue against it. Three "
        "methods; where they disagree, trust none without a test of taking tokens away.",
        "每个词元对“{word}”的对数几率的贡献：橙色为支持，蓝色为反对。三种方法不一致时，"
        "未经删除词元的检验不应相信任何一种。",
    ),
    "Integrated gradients": ("Integrated gradients", "积分梯度"),
    "Gradient x input": ("Gradient × input", "梯度×输入"),
    "Occlusion": ("Occlusion: each token replaced", "遮挡：逐个替换词元"),
    "gap": (
        "The scores of integrated gradients sum to {total}; from the baseline to the text the "
        "logit moves by {moved}: a gap of {gap}.",
        "积分梯度之和为 {total}；从基线到原文对数几率变化 {moved}：缺口 {gap}。",
    ),
    "large_gap": (
        " That is large: these scores are a rough sketch.",
        "缺口较大：这些分数只是粗略的。",
    ),
    "contributions": ("What adds to the logit", "对数几率由什么相加而成"),
    "about_contributions": (
        "The logit of “{word}” is a sum over what every part wrote into the residual stream, the "
        "scale of the last norm kept as it was. What a part causes by way of later parts is theirs "
        "in this sum.",
        "“{word}”的对数几率是各部分写入残差流之和（最后归一化的尺度保持不变）。"
        "经由后面部分产生的影响计入后面的部分。",
    ),
    "adds_to": ("The largest terms", "最大的各项"),
    "part": ("part", "部分"),
    "adds": ("adds", "贡献"),
    "sum": ("sum of all parts", "各部分之和"),
    "own_logit": ("the model's own logit", "模型自身的对数几率"),
    "other_parts": ("all other parts", "其余部分"),
    "completeness": (
        "The sum and the model differ by {error} at most, where the largest term is {scale}.",
        "各部分之和与模型最多相差 {error}，最大项为 {scale}。",
    ),
    "circuit": ("What tells both texts apart", "区分两段文本的回路"),
    "about_circuit": (
        "The edges between parts that are needed when the text is read instead of “{instead}”; all "
        "others carry what they carry for that one. Found by ranking and pruning, measured by "
        "ablation. It holds for this pair of texts; another pair may need other edges.",
        "把原文换成“{instead}”时所需要的部件之间的边；其余的边都取后者的值。"
        "先排序再剪枝，以消融测量。只对这一对文本成立，换一对可能需要不同的边。",
    ),
    "circuit_of": (
        "“{right}” rather than “{wrong}”: width is the share lost without the edge",
        "“{right}”而非“{wrong}”：线宽为去掉该边损失的比例",
    ),
    "no_circuit": (
        "The model expects “{word}” after both texts: there is nothing to tell apart.",
        "两段文本之后模型都预测“{word}”：没有可区分之处。",
    ),
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
