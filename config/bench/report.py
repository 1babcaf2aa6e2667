"""What every benchmark answers: rows of one shape, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One measured case. Ratios are of `per_second` within the same run, None where there is nothing to compare with.

    Times in milliseconds; `lines` and `hot` describe carts, where the case has one. `cpu_ms` is the server's CPU time
    per request, `cpu_ratio_to_floor` the floor's as a share of it: for people, beside the rest, because they hold still
    where the machine doesn't.
    """

    case: str
    callers: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    lines: int = 0
    hot: bool = False
    ratio_to_floor: float | None = None
    ratio_to_classic: float | None = None
    cpu_ms: float | None = None
    cpu_ratio_to_floor: float | None = None

    def as_json(self) -> dict[str, object]:
        return {
            "case": self.case,
            "lines": self.lines,
            "hot": self.hot,
            "callers": self.callers,
            "perSecond": round(self.per_second, 1),
            "ratioToFloor": _rounded(self.ratio_to_floor),
            "ratioToClassic": _rounded(self.ratio_to_classic),
            "p50Ms": round(self.p50_ms, 3),
            "p95Ms": round(self.p95_ms, 3),
            "p99Ms": round(self.p99_ms, 3),
        }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 3)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie, nearest rank. Raises IndexError for no values."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def write_json(path: Path, name: str, rows: Sequence[Row]) -> None:
    report = {"name": name, "machine": machine(), "rows": [row.as_json() for row in rows]}
    path.write_text(json.dumps(report, indent=2) + "\n")


def table(rows: Sequence[Row]) -> str:
    """The rows as text, one line each."""
    lines = [
        f"{'case':<22}{'lines':>6}{'hot':>5}{'callers':>8}{'per second':>12}{'of floor':>10}{'of classic':>11}"
        f"{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}"
        f"{'cpu ms':>9}{'of floor':>10}"
    ]
    for row in rows:
        lines.append(
            f"{row.case:<22}{row.lines or '':>6}{'hot' if row.hot else '':>5}{row.callers:>8}{row.per_second:>12.0f}"
            f"{_shown(row.ratio_to_floor):>10}{_shown(row.ratio_to_classic):>11}"
            f"{row.p50_ms:>9.2f}{row.p95_ms:>9.2f}{row.p99_ms:>9.2f}"
            f"{_shown(row.cpu_ms, 3):>9}{_shown(row.cpu_ratio_to_floor):>10}"
        )
    return "\n".join(lines)


def _shown(value: float | None, places: int = 2) -> str:
    return "" if value is None else f"{value:.{places}f}"
