"""Published models by name: their sizes, as a config that can be built, drawn or loaded into."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from tinygrad_tx.errors import ArgumentError, explain
from tinygrad_tx.models.bert import BERT, BERTConfig
from tinygrad_tx.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from tinygrad_tx.models.gpt import GPT, GPTConfig
from tinygrad_tx.models.llama import Llama, LlamaConfig
from tinygrad_tx.nn.parameters import by_shape_alone

__all__ = ["PRESETS", "Config", "Model", "abstract", "build", "preset"]

Config = GPTConfig | BERTConfig | EncoderDecoderConfig | LlamaConfig
Model = GPT | BERT | EncoderDecoder | Llama
FAMILIES: tuple[Any, ...] = (GPT, BERT, EncoderDecoder, Llama)
"""What `build` makes: each class names its config."""


def _gpt2(layers: int, heads: int, width: int) -> GPTConfig:
    """Radford et al. 2019, table 2."""
    return GPTConfig(50_257, 1024, layers, heads, width, 0.1, "gelu_tanh")


def _gpt3(layers: int, heads: int, width: int) -> GPTConfig:
    """Brown et al. 2020, table 2.1."""
    return GPTConfig(50_257, 2048, layers, heads, width, activation="gelu_tanh")


def _bert(layers: int, heads: int, width: int) -> BERTConfig:
    """Devlin et al. 2019, section 3; the vocabulary of the uncased models."""
    return BERTConfig(30_522, 512, layers, heads, width)


def _t5(layers: int, heads: int, width: int, inner: int, head_width: int) -> EncoderDecoderConfig:
    """Raffel et al. 2020, section 3.7."""
    sizes = (layers, layers, heads, width, inner, head_width)
    return EncoderDecoderConfig(32_128, 512, *sizes, form="t5")


def _transformer(heads: int, width: int, dropout: float) -> EncoderDecoderConfig:
    """Vaswani et al. 2017, table 3; about 37,000 units for both languages, section 5.1."""
    return EncoderDecoderConfig(37_000, 512, 6, 6, heads, width, dropout=dropout)


def _llama(layers: int, heads: int, width: int, inner: int) -> LlamaConfig:
    """Touvron et al. 2023, table 2."""
    return LlamaConfig(32_000, 2048, layers, heads, width, inner=inner, epsilon=1e-6)


PRESETS: Mapping[str, Config] = {
    "gpt2": _gpt2(12, 12, 768),
    "gpt2-medium": _gpt2(24, 16, 1024),
    "gpt2-large": _gpt2(36, 20, 1280),
    "gpt2-xl": _gpt2(48, 25, 1600),
    "gpt3-125m": _gpt3(12, 12, 768),
    "gpt3-350m": _gpt3(24, 16, 1024),
    "gpt3-6.7b": _gpt3(32, 32, 4096),
    "gpt3-175b": _gpt3(96, 96, 12_288),
    # Smith et al. 2022, section 2.1 and table 1; the vocabulary is padded for 8-way parallelism.
    "mt-nlg-530b": GPTConfig(51_200, 2048, 105, 128, 20_480, activation="gelu_tanh"),
    "bert-base": _bert(12, 12, 768),
    "bert-large": _bert(24, 16, 1024),
    "transformer-base": _transformer(8, 512, 0.1),
    "transformer-big": _transformer(16, 1024, 0.3),
    "t5-small": _t5(6, 8, 512, 2048, 64),
    "t5-base": _t5(12, 12, 768, 3072, 64),
    "t5-large": _t5(24, 16, 1024, 4096, 64),
    "t5-3b": _t5(24, 32, 1024, 16_384, 128),
    "t5-11b": _t5(24, 128, 1024, 65_536, 128),
    "llama-7b": _llama(32, 32, 4096, 11_008),
    "llama-13b": _llama(40, 40, 5120, 13_824),
    "llama-65b": _llama(80, 64, 8192, 22_016),
    "llama2-70b": LlamaConfig(32_000, 4096, 80, 64, 8192, 8, 28_672),
    # Grattafiori et al. 2024, table 3.
    "llama3-8b": LlamaConfig(128_256, 8192, 32, 32, 4096, 8, 14_336, rope_base=500_000.0),
    "llama3-70b": LlamaConfig(128_256, 8192, 80, 64, 8192, 8, 28_672, rope_base=500_000.0),
    "smollm2-135m": LlamaConfig(49_152, 8192, 30, 9, 576, 3, 1536, rope_base=100_000.0, tied=True),
}
"""Published sizes by name; `preset` also says what is near a name it does not know."""


def preset(name: str) -> Config:
    """The sizes of a published model. Errors: ArgumentError, with the nearest names."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, 3)
    remedy = f"nearest: {', '.join(near)}" if near else f"there are {', '.join(PRESETS)}"
    raise ArgumentError(explain("preset", f"{name!r} is not known", remedy=remedy))


def build(config: Config, seed: int = 0) -> Model:
    """The untrained model that `config` describes. Errors: TypeError for one that no family has."""
    for family in FAMILIES:
        if type(config) is family.config_class:
            model: Model = family(config, seed)
            return model
    listed = ", ".join(family.config_class.__name__ for family in FAMILIES)
    what = f"{type(config).__name__} is the config of no family"
    raise TypeError(explain("build", what, remedy=f"give one of {listed}, or call your own class"))


def abstract(config: Config | str) -> Model:
    """A model by shape alone: a config or a preset's name, of any size, without memory.

    It is drawn, counted and planned like any other; its values do not exist until they are loaded.
    It does not train: there is no dropout in it.
    """
    with by_shape_alone():
        model = build(preset(config) if isinstance(config, str) else config)
    model.eval()
    model.title = config if isinstance(config, str) else ""
    return model
