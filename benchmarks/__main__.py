"""What is measured in minutes, each part in its own process: `python -m benchmarks [--only PART] [--json FILE]`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import options

ROOT = Path(__file__).resolve().parents[1]
PARTS = ["parsing", "search", "network", "counts"]
WITH_NUMPY = ROOT / ".venv-peers" / "bin" / "python"


def interpreter(part: str) -> str:
    """The search is compared with C called through NumPy, which the development requirements do not have."""
    return str(WITH_NUMPY) if part == "search" and WITH_NUMPY.exists() else sys.executable


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")
    given = parser.parse_args()
    reports, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        for part in given.only or PARTS:
            file = Path(folder) / f"{part}.json"
            command = [
                interpreter(part),
                "-m",
                f"benchmarks.{part}",
                "--rounds",
                str(given.rounds),
                "--json",
                str(file),
            ]
            subprocess.run(command, cwd=ROOT, check=False)
            if file.exists():  # also when a goal was missed
                reports.append(json.loads(file.read_text(encoding="utf-8")))
            else:
                failed.append(f"{part}: it did not come to an end")
    missed = failed + [f"{report['benchmark']}: {name}" for report in reports for name in report["missed"]]
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(reports, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\nOf all parts: " + ("; ".join(f"missed: {name}" for name in missed) or "no goal missed"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
