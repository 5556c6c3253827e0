"""The sdist and the wheel made from it: each installs alone and trains a step."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STEP = """
import numpy as np, tinygrad_tx as tx
assert tx.__file__.startswith({prefix!r}), tx.__file__
model = tx.models.GPT(tx.models.GPTConfig(17, 8, 1, 1, 32))
optimizer = tx.optim.SGD(model.parameters(), 0.1)
@tx.jit
def step(x, y):
    optimizer.zero_grad()
    loss = model.loss(x, y)
    loss.backward()
    optimizer.step()
    return loss
x = np.arange(16).reshape(2, 8)
first = step(x, x).item()
assert step(x, x).item() < first
print("trained")
"""


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def environment(prefix: Path, package: Path) -> Path:
    """The Python of a new environment with the package, its libraries borrowed from this one."""
    venv.create(prefix, with_pip=True)
    python = prefix / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", package, cwd=prefix)
    # The package itself comes from the new environment, or not at all.
    (site,) = prefix.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_installs_and_trains(
    packages: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    prefix = tmp_path / "env"
    python = environment(prefix, packages[kind])
    assert "trained" in run(python, "-c", STEP.format(prefix=str(prefix)), cwd=tmp_path)
    assert "vocabulary" in run(
        prefix / "bin" / "tinygrad-tx", "train", "--quick", "--steps", "2", cwd=tmp_path
    )


LOSSES = """
import numpy as np

def log_loss(x):
    return np.log1p(np.exp(-x)).mean()

def log_loss_gradient(x):
    return -1 / (1 + np.exp(x))  # forgot to divide by len(x)
"""
PLANTED = """
from losses import log_loss, log_loss_gradient
from tinygrad_tx.testing.given import given_gradients
from tinygrad_tx.testing.strategies import arrays

test_loss = given_gradients(
    arrays(shape=(4,), kind="smooth"), gradient=log_loss_gradient
)(log_loss)
"""


@pytest.mark.slow
def test_a_project_with_the_wheel_finds_a_planted_bug(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    """A stranger's project: the plug-in is found on install, the test has at most ten lines."""
    python = environment(tmp_path / "env", packages["wheel"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "losses.py").write_text(LOSSES)
    (project / "test_losses.py").write_text(PLANTED)
    assert len(PLANTED.strip().splitlines()) <= 10
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "--gradcheck-examples", "5"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "ratio 4" in done.stdout
    assert "see .gradcheck/log_loss.py" in done.stdout


def test_operators_refuse_to_be_imported_by_another_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import ops"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "import them as tinygrad_tx.ops" in done.stderr
