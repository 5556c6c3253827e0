"""Tokenizers that come with published weights: a folder's tokenizer.json, or a GGUF file's tables.

Special tokens are kept apart: no text can spell one, they are only put where a caller asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer as HubTokenizer, decoders, models, pre_tokenizers

from tinygrad_tx.data.descriptions import library_errors, tokenizer_of_json
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json, read_text

__all__ = ["PretrainedTokenizer", "gguf_tokenizer", "pretrained_tokenizer"]

Tokens = np.ndarray[Any, np.dtype[np.int64]]

# ChatML: each message between two special tokens, behind its role. What the templates differ in is
# the system message that is put first where none is given.
_CHATML = re.compile(
    r"\{% for message in messages %\}"
    r"(?:\{% if loop\.first and messages\[0\]\['role'\] != 'system' %\}"
    r"\{\{ '<\|im_start\|>system\n(?P<system>[^'<{]*)<\|im_end\|>\n' \}\}\{% endif %\})?"
    r"\{\{'<\|im_start\|>' \+ message\['role'\] \+ '\n' \+ message\['content'\]"
    r" \+ '<\|im_end\|>' \+ '\n'\}\}\{% endfor %\}"
    r"\{% if add_generation_prompt %\}\{\{ '<\|im_start\|>assistant\n' \}\}\{% endif %\}"
)
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Chat:
    """ChatML, and the system message that stands first where the caller gives none."""

    system: str | None = None


class PretrainedTokenizer:
    """A published vocabulary behind the interface of `Tokenizer`.

    bos, eos: tokens that begin and end a text, where the files name them. special: all special
    tokens by their text.
    """

    kind = "pretrained"

    def __init__(
        self,
        inner: HubTokenizer,
        bos: int | None = None,
        eos: int | None = None,
        pad: int | None = None,
        chat: Chat | None = None,
    ) -> None:
        inner.no_padding()
        inner.no_truncation()
        inner.encode_special_tokens = True  # a text that spells a special token stays a text
        self._inner = inner
        self.bos, self.eos, self.pad, self._chat = bos, eos, pad, chat
        added = inner.get_added_tokens_decoder()
        self.special = {t.content: i for i, t in sorted(added.items()) if t.special}

    @property
    def vocab_size(self) -> int:
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> Tokens:
        """The text alone, as int64: nothing is put around it."""
        with library_errors():
            return np.array(self._inner.encode(text, add_special_tokens=False).ids, np.int64)

    def batch(self, texts: Sequence[str], longest: int | None = None) -> tuple[Tokens, Any]:
        """Texts with what the model wants around them ([CLS] and [SEP]), padded on the right.

        longest: texts beyond that many tokens lose their end, not what stands around them.
        Shapes: tokens (texts, time) int64 and mask (texts, time) bool, true for real tokens.
        """
        found = self.encode_all(texts, longest)
        time = max(map(len, found), default=0)
        tokens = np.full((len(found), time), self.pad or 0, np.int64)
        mask = np.zeros((len(found), time), bool)
        for row, ids in enumerate(found):
            tokens[row, : len(ids)], mask[row, : len(ids)] = ids, True
        return tokens, mask

    def encode_all(self, texts: Sequence[str], longest: int | None = None) -> list[Tokens]:
        """As `batch`, without padding: an array of its own length for each text."""
        around = self._inner.num_special_tokens_to_add(False)
        if longest is not None and longest <= around:
            raise DataError(explain("tokenizer", f"{longest} tokens leave no room for a text"))
        found = []
        with library_errors():
            given = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
            for encoding in given:
                if longest is not None:
                    encoding.truncate(longest - around)
                whole = self._inner.post_process(encoding, None, True)
                found.append(np.array(whole.ids, np.int64))
        return found

    def decode(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of `tokens`; special ones are left out."""
        with library_errors():
            return str(self._inner.decode([int(t) for t in tokens], skip_special_tokens=True))

    def chat(self, messages: Sequence[Mapping[str, str]], reply: bool = True) -> Tokens:
        """A conversation as the model was trained to read it.

        messages: each with "role" (system, user or assistant) and "content". reply: whether the
        assistant's next message is begun. Errors: DataError.

        Source: the template in the file, where it is ChatML. A template is a program (Jinja), and
        sandboxes for it have had holes (CVE-2024-56326, CVE-2025-27516); weights never run code
        here, so the one form is recognised and written by hand. It has a second merit: messages
        are encoded apart from the tokens between them, so that no message can forge one.
        """
        if self._chat is None:
            what = "these files have no chat template of the ChatML form"
            raise DataError(explain("chat", what, remedy="write the prompt for encode yourself"))
        _check_messages(messages)
        if self._chat.system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self._chat.system}, *messages]
        start, end = (np.array([self.special[s]]) for s in ("<|im_start|>", "<|im_end|>"))
        parts = []
        for message in messages:
            said = self.encode(f"{message['role']}\n{message['content']}")
            parts += [start, said, end, self.encode("\n")]
        if reply:
            parts += [start, self.encode("assistant\n")]
        return np.concatenate(parts).astype(np.int64)

    def to_json(self) -> str:
        chat = None if self._chat is None else {"system": self._chat.system}
        found = {"kind": self.kind, "bos": self.bos, "eos": self.eos, "pad": self.pad, "chat": chat}
        return json.dumps({**found, "tokenizer": json.loads(self._inner.to_str())})

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> PretrainedTokenizer:
        """What `to_json` wrote, parsed. Errors: KeyError, TypeError, ValueError."""
        inner = tokenizer_of_json(found["tokenizer"])
        marks = [found[name] for name in ("bos", "eos", "pad")]
        if not all(m is None or (type(m) is int and 0 <= m < 1 << 31) for m in marks):
            raise ValueError(f"bos, eos and pad are {marks}, not tokens")
        bos, eos, pad = marks
        chat = None if found["chat"] is None else Chat(found["chat"]["system"])
        made = cls(inner, bos, eos, pad, chat)
        if chat is not None and not (
            {"<|im_start|>", "<|im_end|>"} <= made.special.keys()
            and isinstance(chat.system, str | None)
        ):
            raise ValueError("its chat has no marks of its own, or no text")
        return made


def pretrained_tokenizer(folder: str | Path) -> PretrainedTokenizer:
    """The tokenizer of a Hugging Face folder: tokenizer.json, and tokenizer_config.json if there.

    Errors: DataError.
    """
    path = Path(folder) / "tokenizer.json"
    text = _text_of(path)
    try:
        inner = tokenizer_of_json(text)
    except ValueError as error:
        raise DataError(explain(str(path), f"is damaged: {error}")) from None
    words = _words_of(Path(folder) / "tokenizer_config.json")
    ids = {name: inner.token_to_id(word) for name, word in words.items() if word}
    bos, eos, pad = (ids.get(f"{name}_token") for name in ("bos", "eos", "pad"))
    return PretrainedTokenizer(inner, bos, eos, pad, _chat_of(words.get("chat_template"), inner))


def gguf_tokenizer(metadata: Mapping[str, Any], source: str) -> PretrainedTokenizer:
    """The byte-pair tokenizer in a GGUF file's metadata (`tokenizer.ggml.*`, model "gpt2").

    source: the file, for messages. Errors: DataError for another kind, and damaged tables.
    """
    known = {k.removeprefix("tokenizer."): v for k, v in metadata.items()}
    kind, before = known.get("ggml.model"), known.get("ggml.pre")
    if kind != "gpt2" or before not in _SPLITS:
        what = f"its tokenizer is {kind!r} with splits {before!r}"
        remedy = f"'gpt2' with one of {', '.join(_SPLITS)} is read"
        raise DataError(explain(source, what, remedy=remedy))
    words, merges = known.get("ggml.tokens"), known.get("ggml.merges")
    kinds = np.asarray(known.get("ggml.token_type", ()))
    if not isinstance(words, list) or not isinstance(merges, list) or len(kinds) != len(words):
        what = "its tokenizer lacks tokens, merges or token types of the same number"
        raise DataError(explain(source, what))
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    vocab = {word: i for i, word in enumerate(words)}
    if len(vocab) != len(words) or not all(len(p) == 2 for p in pairs):
        raise DataError(explain(source, "its tokenizer has a token twice, or a merge of one part"))
    try:
        with library_errors(ValueError):
            inner = HubTokenizer(models.BPE(vocab, pairs))
    except ValueError as error:  # as a merge of unknown parts
        raise DataError(explain(source, f"its tokenizer is damaged: {error}")) from None
    inner.pre_tokenizer = _SPLITS[before]
    inner.decoder = decoders.ByteLevel()
    control, own = ([words[i] for i in np.flatnonzero(kinds == k)] for k in (_CONTROL, _OWN))
    inner.add_special_tokens([AddedToken(w, special=True, normalized=False) for w in control])
    inner.add_tokens([AddedToken(w, normalized=False) for w in own])
    bos, eos, pad = marks = [
        known.get(f"ggml.{name}_token_id") for name in ("bos", "eos", "padding")
    ]
    if not all(m is None or (isinstance(m, int) and 0 <= m < len(words)) for m in marks):
        raise DataError(explain(source, f"bos, eos and padding are {marks}, not tokens"))
    return PretrainedTokenizer(inner, bos, eos, pad, _chat_of(known.get("chat_template"), inner))


_CONTROL, _OWN = 3, 4  # token types: never in a text; in a text, but not to be cut
_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
# How llama.cpp names the rule that cuts a text before merging.
_SPLITS: Mapping[Any, Any] = {
    "gpt-2": _BYTES,
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _BYTES]),
}


def _chat_of(template: Any, inner: HubTokenizer) -> Chat | None:
    """None for a template that is not there, or not ChatML."""
    found = _CHATML.fullmatch(template) if isinstance(template, str) else None
    marks = ("<|im_start|>", "<|im_end|>")
    if found is None or any(inner.token_to_id(mark) is None for mark in marks):
        return None
    return Chat(found["system"])


def _check_messages(messages: Sequence[Mapping[str, str]]) -> None:
    if not messages:
        raise DataError(explain("chat", "there are no messages"))
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES or not isinstance(content, str):
            what = f"a message has role {role!r} and content {content!r}"
            remedy = f"the role is one of {', '.join(_ROLES)}, the content a text"
            raise DataError(explain("chat", what, remedy=remedy))


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise DataError(explain(str(path), f"cannot be read: {error.strerror}")) from None
    except ValueError as error:
        raise DataError(explain(str(path), f"is damaged: {error}")) from None


def _words_of(path: Path) -> dict[str, Any]:
    """The special tokens' words, and the chat template; nothing where there is no such file."""
    if not path.exists():
        return {}
    try:
        found = parse_json(_text_of(path))
    except DataError:
        raise
    except ValueError as error:
        raise DataError(explain(str(path), f"is damaged: {error}")) from None
    if not isinstance(found, dict):
        raise DataError(explain(str(path), "is damaged: it is not an object"))
    # A word may stand by itself or as an object that says how it is cut out.
    words = {k: v.get("content") if isinstance(v, dict) else v for k, v in found.items()}
    wanted = ("bos_token", "eos_token", "pad_token", "chat_template")
    return {k: words[k] for k in wanted if isinstance(words.get(k), str)}
