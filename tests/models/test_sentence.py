"""Sentence vectors: properties of the mean, of batches, and of what folders say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError, DataError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "mat", "##s"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder with a vocabulary of ten words."""
    path = tmp_path_factory.mktemp("sentence")
    config = tx.models.BERTConfig(len(WORDS), 64, layers=2, heads=2, width=32)
    model = tx.models.SentenceEncoder(config)
    rng = np.random.default_rng(0)
    state = model.state_dict()
    model.load_state_dict({k: v + rng.normal(0, 0.3, v.shape) for k, v in state.items()})
    model.save_pretrained(path)
    words = models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = Tokenizer(words)
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.enable_padding(length=40)  # as published folders do; encode goes its own way
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text('{"pad_token": "[PAD]"}')
    return path


def test_vectors_do_not_depend_on_their_company(folder: Path) -> None:
    encoder = tx.models.SentenceEncoder.from_pretrained(folder)
    texts = ["cat", "the cats sat on the mat " * 5, "", "The cat sat", "mat " * 500]
    together = encoder.encode(texts * 4)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(together[:5], together[5:10])
    for i, text in enumerate(texts):
        np.testing.assert_allclose(encoder.encode(text)[0], together[i], rtol=0, atol=1e-5)


def test_the_vector_is_the_mean_over_real_tokens(folder: Path) -> None:
    encoder = tx.models.SentenceEncoder.from_pretrained(folder).eval()
    tokens = np.array([[2, 4, 5, 3]])
    hidden = encoder.encoder(tokens).numpy()[0].astype(np.float64)
    mean = hidden.mean(0)
    np.testing.assert_allclose(
        encoder.encode("the cat")[0], mean / np.linalg.norm(mean), rtol=0, atol=1e-6
    )


def test_long_texts_end_at_the_limit_of_the_folder(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    encoder = tx.models.SentenceEncoder.from_pretrained(tmp_path)
    assert encoder.longest == 10
    long, cut = encoder.encode(["cat " * 30, "cat " * 8])  # with [CLS] and [SEP] they are ten
    np.testing.assert_allclose(long, cut, rtol=0, atol=1e-6)


def test_similarity_is_the_cosine(folder: Path) -> None:
    encoder = tx.models.SentenceEncoder.from_pretrained(folder)
    cosines = encoder.similarity(["the cat", "mat"], ["the cat", "mat", "sat"])
    assert cosines.shape == (2, 3)
    np.testing.assert_allclose([cosines[0, 0], cosines[1, 1]], 1, rtol=1e-5)
    assert np.abs(cosines).max() <= 1 + 1e-5


def test_no_texts_are_no_vectors(folder: Path) -> None:
    assert tx.models.SentenceEncoder.from_pretrained(folder).encode([]).shape == (0, 32)


def test_encoding_leaves_the_mode_as_it_was_and_drops_nothing(folder: Path) -> None:
    encoder = tx.models.SentenceEncoder.from_pretrained(folder).train()
    np.testing.assert_array_equal(encoder.encode("the cat"), encoder.encode("the cat"))
    assert encoder.training


def test_another_pooling_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(CheckpointError, match="pooling_mode_cls_token"):
        tx.models.SentenceEncoder.from_pretrained(tmp_path)


def test_without_a_tokenizer_there_is_a_clear_error() -> None:
    encoder = tx.models.SentenceEncoder(tx.models.BERTConfig(10, 16, 1, 1, 32))
    with pytest.raises(DataError, match="no tokenizer"):
        encoder.encode("cat")
