"""Runs the consortium's array-api-tests on tinygrad_tx: `python tests/interop/array_api.py SUITE`.

SUITE is a checkout of github.com/data-apis/array-api-tests with its submodule array-api; what it
needs is in its requirements.txt. It is copied and left as it is. What array_api_skips.txt names is
not run; the counts by reason are printed, and the exit status is 1 if anything else failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SKIPS = Path(__file__).with_name("array_api_skips.txt")
EXTENSIONS = ("linalg", "fft")


def skips() -> list[tuple[re.Pattern[str], str]]:
    """Each pattern of the list, and the reason above it."""
    found, reason = [], ""
    for line in SKIPS.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            found.append((re.compile(re.escape(line).replace(r"\*", ".*")), reason))
    return found


def prepared(suite: Path, folder: Path) -> Path:
    """A copy that can be loaded without complex dtypes."""
    if not (suite / "array-api" / "src").is_dir():
        raise SystemExit(f"{suite}: has no array-api/src; check out its submodule.")
    copy = folder / "suite"
    shutil.copytree(suite, copy, ignore=shutil.ignore_patterns(".git"))
    dtypes = copy / "array_api_tests" / "dtype_helpers.py"
    text = dtypes.read_text(encoding="utf-8")
    # It takes the widest of the complex dtypes, and there are none.
    wanted = r"(for dt in complex_dtypes\], key=lambda x: x\[1\])\n"
    dtypes.write_text(re.sub(wanted, r"\1, default=(None, 0)\n", text), encoding="utf-8")
    return copy


def run(suite: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "ARRAY_API_TESTS_MODULE": "tinygrad_tx",
        "ARRAY_API_TESTS_SKIP_DTYPES": "complex64,complex128",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "-W", "ignore", *options]
    disabled = ["--disable-extension", *EXTENSIONS, "--hypothesis-disable-deadline"]
    return subprocess.run(
        [*command, *disabled], cwd=suite, env=environment, capture_output=True, text=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--examples", type=int, default=100, help="for each test")
    parser.add_argument("--seed", type=int, help="of the examples; without it always the same")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        suite = prepared(given.suite.resolve(), Path(name))
        listed = run(suite, "--collect-only").stdout.splitlines()
        ids = [line for line in listed if line.startswith("array_api_tests/")]
        reasons = {i: why for i in ids for pattern, why in skips() if pattern.fullmatch(i)}
        (suite / "ours.txt").write_text("\n".join(reasons), encoding="utf-8")
        options = ["--skips-file", "ours.txt", "--max-examples", str(given.examples)]
        seed = "derandomize" if given.seed is None else f"seed={given.seed}"
        report = suite / "report.json"
        done = run(suite, *options, f"--hypothesis-{seed}", "--json-report",
                   f"--json-report-file={report}")  # fmt: skip
        if not report.exists():
            raise SystemExit(done.stdout + done.stderr)
        tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
    return summed_up(tests, reasons)


def summed_up(tests: list[dict[str, Any]], reasons: dict[str, str]) -> int:
    outcomes = Counter(t["outcome"] for t in tests)
    for test in tests:
        if test["outcome"] not in ("passed", "skipped"):
            print("FAILED", test["nodeid"])
    print(f"{outcomes['passed']} passed, {len(tests) - outcomes['passed'] - outcomes['skipped']} "
          f"failed, {outcomes['skipped']} not run:")  # fmt: skip
    why = Counter(
        reasons.get(t["nodeid"], _extension(t)) for t in tests if t["outcome"] == "skipped"
    )
    for reason, count in why.most_common():
        print(f"{count:5d}  {reason}")
    return int(outcomes["passed"] + outcomes["skipped"] < len(tests))


def _extension(test: dict[str, Any]) -> str:
    found = [e for e in EXTENSIONS if f"{e} disabled" in json.dumps(test)]
    return f"The extension {found[0]} is optional." if found else "Left out by the suite itself."


if __name__ == "__main__":
    sys.exit(main())
