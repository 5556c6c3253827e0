"""The operators, one file each. Importing this package registers them all."""

from __future__ import annotations

import importlib
import pkgutil

if __name__ != "tinygrad_tx.ops":
    raise ImportError(
        f"the operators were imported as {__name__!r}; import them as tinygrad_tx.ops "
        "(run from another folder, or install the package)"
    )

for _file in pkgutil.iter_modules(__path__):
    if not _file.ispkg:
        importlib.import_module(f"{__name__}.{_file.name}")
