"""A process that holds a lease on the data folder named by its argument until it is told to leave, or killed.

It enters the package `config` as dev.py does: without Celery and Django.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))
sys.modules["config"] = types.ModuleType("config")
sys.modules["config"].__path__ = [str(ROOT / "config")]

from config import embedded  # noqa: E402

if __name__ == "__main__":
    with embedded.Lease(Path(sys.argv[1]), profile="fast") as lease:
        print(json.dumps(dataclasses.asdict(lease.services)), flush=True)
        sys.stdin.readline()
