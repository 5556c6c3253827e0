"""The sdist and the wheel made from it: each installs alone and trains a step."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import tinygrad_tx as tx

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
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=alone, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
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


def files_of_the_package() -> set[str]:
    """All that stands in the checkout below the package, links followed, caches apart."""
    found = set()
    for folder, names, files in os.walk(ROOT / "tinygrad_tx", followlinks=True):
        names[:] = [n for n in names if n != "__pycache__"]
        found |= {(Path(folder) / f).relative_to(ROOT).as_posix() for f in files}
    return found


def contents(package: Path) -> dict[str, bytes]:
    """Files by name, without the folder that a source package puts around them. No links."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            kinds = {stat.S_IFMT(i.external_attr >> 16) for i in wheel.infolist()}
            assert kinds <= {0, stat.S_IFREG}
            return {name: wheel.read(name) for name in wheel.namelist()}
    found = {}
    with tarfile.open(package) as sdist:
        for member in sdist.getmembers():
            assert member.isfile() or member.isdir(), member.name
            if member.isfile():
                file = sdist.extractfile(member)
                assert file is not None
                found[member.name.partition("/")[2]] = file.read()
    return found


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(packages: dict[str, Path]) -> None:
    """Every module, what pages are made of, py.typed; ops and models as files, not as links."""
    found = contents(packages["wheel"])
    assert {n for n in found if ".dist-info/" not in n} == files_of_the_package()
    about = {n.partition(".dist-info/")[2] for n in found if ".dist-info/" in n}
    assert about == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "top_level.txt",
    }
    assert {"tinygrad_tx/py.typed", "tinygrad_tx/ops/matmul.py", "tinygrad_tx/models/gpt.py"} < set(
        found
    )


@pytest.mark.slow
def test_the_source_package_holds_the_package_and_what_builds_it(
    packages: dict[str, Path],
) -> None:
    found = {n for n in contents(packages["sdist"]) if not n.startswith("tinygrad_tx.egg-info/")}
    beside = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"}
    assert found == files_of_the_package() | beside | {"pyproject.toml", "setup.cfg"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_no_place_of_this_machine_is_in_a_package(packages: dict[str, Path], kind: str) -> None:
    places = [str(ROOT), str(Path.home()) + "/", sys.prefix, "pypi.org", "pythonhosted.org"]
    wrong = [
        (name, place)
        for name, data in contents(packages[kind]).items()
        for place in places
        if place.encode() in data
    ]
    assert wrong == []


@pytest.mark.slow
def test_what_the_package_says_of_itself(packages: dict[str, Path]) -> None:
    found = contents(packages["wheel"])
    (name,) = (n for n in found if n.endswith(".dist-info/METADATA"))
    about = message_from_string(found[name].decode())
    assert about["Version"] == tx.__version__
    assert about["Name"] == "tinygrad-tx"
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11"
    assert about["Description-Content-Type"] == "text/markdown"
    assert about["Keywords"]
    assert about.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_twine_finds_nothing_wrong(packages: dict[str, Path], tmp_path: Path) -> None:
    if importlib.util.find_spec("twine") is None:
        pytest.skip("twine is in the extra dev")
    said = run(sys.executable, "-m", "twine", "check", "--strict", *packages.values(), cwd=tmp_path)
    assert said.count("PASSED") == 2


def test_the_version_stands_in_one_place() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in text
    assert tx.__version__ not in text
    assert tx.__version__.count(".") == 2


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
