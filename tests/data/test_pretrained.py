"""Published tokenizers: byte pairs of GGUF files, tokenizer.json of folders, and conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tinygrad_tx.data import gguf_tokenizer, load_tokenizer, pretrained_tokenizer
from tinygrad_tx.errors import DataError

MERGES = ["h e", "l l", "he ll", "hell o", "Ġ hello", "Ġ Ġ", "1 2"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\n" + SYSTEM + "<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def metadata(**changes: Any) -> dict[str, Any]:
    """The tables of a small byte-pair tokenizer; bytes stand as the GPT-2 alphabet writes them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = SPECIAL + alphabet + [merge.replace(" ", "") for merge in MERGES]
    found = {
        "ggml.model": "gpt2",
        "ggml.pre": "smollm",
        "ggml.tokens": words,
        "ggml.merges": MERGES,
        "ggml.token_type": np.array([3] * len(SPECIAL) + [1] * (len(words) - len(SPECIAL))),
        "ggml.bos_token_id": 1,
        "ggml.eos_token_id": 2,
        "chat_template": CHATML,
    } | changes
    return {f"tokenizer.{k}": v for k, v in found.items() if v is not None}


BYTE_PAIRS = gguf_tokenizer(metadata(), "model.gguf")


def pieces(text: str) -> list[str]:
    words = metadata()["tokenizer.ggml.tokens"]
    return [words[i] for i in BYTE_PAIRS.encode(text)]


def test_merges_are_applied_and_digits_stand_alone() -> None:
    assert pieces("hello hello") == ["hello", "Ġhello"]
    assert pieces("hell 12") == ["hell", "Ġ", "1", "2"]
    assert pieces("  1") == ["ĠĠ", "1"]
    as_gpt2 = gguf_tokenizer(metadata(**{"ggml.pre": "gpt-2"}), "model.gguf")
    assert len(as_gpt2.encode("12")) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    tokens = BYTE_PAIRS.encode(text)
    assert tokens.dtype == np.int64
    assert BYTE_PAIRS.decode(tokens) == text


@given(st.lists(st.sampled_from([*SPECIAL, "a", " ", "<|", "\n"]), max_size=8).map("".join))
def test_no_text_spells_a_special_token(text: str) -> None:
    assert not set(BYTE_PAIRS.encode(text)) & set(BYTE_PAIRS.special.values())
    said = BYTE_PAIRS.chat([{"role": "user", "content": text}], reply=False)
    assert [int(t) for t in said if t < 3] == [1, 2, 1, 2]  # the system's message, and the user's


def test_a_conversation_is_written_as_the_template_says() -> None:
    words = BYTE_PAIRS.chat([{"role": "user", "content": "hello"}])
    start, end = "<|im_start|>", "<|im_end|>"
    wanted = f"{start}system\n{SYSTEM}{end}\n{start}user\nhello{end}\n{start}assistant\n"
    assert "".join(metadata()["tokenizer.ggml.tokens"][i] for i in words) == (
        wanted.replace(" ", "Ġ").replace("\n", "Ċ")
    )
    own = [{"role": "system", "content": "hell"}, {"role": "user", "content": "hello"}]
    text = BYTE_PAIRS.decode(BYTE_PAIRS.chat(own, reply=False))
    assert text == "system\nhell\nuser\nhello\n"


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "no messages"),
        ([{"role": "tool", "content": "x"}], "'tool'"),
        ([{"role": "user"}], "content None"),
    ],
)
def test_messages_that_are_none_are_refused(messages: list[dict[str, str]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        BYTE_PAIRS.chat(messages)


@pytest.mark.parametrize(
    "template",
    [None, "", CHATML + " ", CHATML.replace("role", "__class__"), "{{ cycler.__init__ }}"],
)
def test_another_template_is_never_run(template: str | None) -> None:
    tokenizer = gguf_tokenizer(metadata(chat_template=template), "model.gguf")
    with pytest.raises(DataError, match="no chat template of the ChatML form"):
        tokenizer.chat([{"role": "user", "content": "hello"}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ggml.model": "llama"}, "'llama'"),
        ({"ggml.pre": None}, "splits None"),
        ({"ggml.pre": "qwen2"}, "'qwen2'"),
        ({"ggml.tokens": None}, "lacks"),
        ({"ggml.merges": None}, "lacks"),
        ({"ggml.token_type": np.array([1])}, "lacks"),
        ({"ggml.merges": ["he"]}, "merge of one part"),
        ({"ggml.merges": ["q unknown"]}, "damaged"),
        ({"ggml.eos_token_id": 5_000}, "not tokens"),
        ({"ggml.bos_token_id": "1"}, "not tokens"),
    ],
)
def test_other_and_damaged_tables_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=rf"model\.gguf.*{said}"):
        gguf_tokenizer(metadata(**changes), "model.gguf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s"]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(words[:4])
    tokenizer.enable_padding(length=40)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": {"content": "[PAD]"}}')
    return tmp_path


def test_word_pieces_stand_between_cls_and_sep_in_batches(folder: Path) -> None:
    tokenizer = pretrained_tokenizer(folder)
    tokens, mask = tokenizer.batch(["The cats", "dog", "the the the the"])
    assert tokens.tolist() == [[2, 4, 5, 6, 3, 0], [2, 1, 3, 0, 0, 0], [2, 4, 4, 4, 4, 3]]
    assert mask.sum(1).tolist() == [5, 3, 6]
    assert tokenizer.batch(["The cats"], longest=4)[0].tolist() == [[2, 4, 5, 3]]
    assert tokenizer.encode("The cats").tolist() == [4, 5, 6]
    assert (tokenizer.vocab_size, tokenizer.pad) == (7, 0)


def test_a_limit_without_room_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="no room"):
        pretrained_tokenizer(folder).batch(["the"], longest=2)


def test_they_survive_a_file(folder: Path) -> None:
    conversation = [{"role": "user", "content": "hello 12"}]
    again: Any = load_tokenizer(BYTE_PAIRS.to_json())
    np.testing.assert_array_equal(again.chat(conversation), BYTE_PAIRS.chat(conversation))
    assert (again.bos, again.eos, again.special) == (1, 2, BYTE_PAIRS.special)
    words = pretrained_tokenizer(folder)
    again = load_tokenizer(words.to_json())
    np.testing.assert_array_equal(again.batch(["cats"])[0], words.batch(["cats"])[0])


@pytest.mark.parametrize("raw", ["", "{}", "[1]", json.dumps({"model": {"type": "BPE"}})])
def test_damaged_descriptions_are_refused(tmp_path: Path, raw: str) -> None:
    (tmp_path / "tokenizer.json").write_text(raw)
    with pytest.raises(DataError, match="is damaged"):
        pretrained_tokenizer(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        pretrained_tokenizer(tmp_path / "none")
