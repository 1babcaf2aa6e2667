"""How a flash sale is told: to people as text, to machines as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.bench.report import machine, percentile
from config.flash_sale.crowd import Tally
from config.flash_sale.proof import Check, Facts

STEPS = ("product", "cart", "checkout", "order-status", "pay to confirmed")


@dataclass(frozen=True, slots=True)
class Report:
    """One sale. `seconds`: until the last buyer had gone home."""

    shop_id: str
    buyers: int
    seed: int
    seconds: float
    tally: Tally
    facts: Facts
    checks: Sequence[Check]

    @property
    def proven(self) -> bool:
        return all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": "flash_sale",
            "machine": machine(),
            "shop": self.shop_id,
            "buyers": self.buyers,
            "stock": self.facts.stock,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "proven": self.proven,
            "checks": [{"name": c.name, "holds": c.holds, "figures": c.figures} for c in self.checks],
            "outcomes": dict(sorted(self.tally.outcomes.items())),
            "answers": dict(sorted(self.tally.answers.items())),
            "busyRetries": self.tally.busy,
            "units": {
                "sold": self.facts.sold,
                "held": self.facts.held,
                "available": self.facts.on_hand - self.facts.held,
            },
            "steps": {
                step: {"count": count, "p50Ms": p50, "p95Ms": p95, "p99Ms": p99}
                for step, count, p50, p95, p99 in self.latencies()
            },
        }

    def latencies(self) -> list[tuple[str, int, float, float, float]]:
        """`(step, answers, p50, p95, p99)` in milliseconds."""
        found = []
        for step in STEPS:
            if times := sorted(self.tally.times.get(step, ())):
                shares = (round(percentile(times, share) * 1000, 1) for share in (0.50, 0.95, 0.99))
                found.append((step, len(times), *shares))
        return found  # type: ignore[return-value]

    def as_text(self) -> str:
        lines = [f"{self.buyers} buyers, {self.facts.stock} units, {self.seconds:.1f} s (seed {self.seed})", ""]
        lines += [f"{count:>7} {outcome}" for outcome, count in self.tally.outcomes.most_common()]
        lines += ["", f"{'step':<20}{'answers':>8}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}"]
        lines += [
            f"{step:<20}{count:>8}{p50:>10.0f}{p95:>10.0f}{p99:>10.0f}"
            for step, count, p50, p95, p99 in self.latencies()
        ]
        lines += ["", *(f"  {answer}: {count}" for answer, count in sorted(self.tally.answers.items()))]
        lines += ["", *(f"{'yes' if c.holds else 'NO':<4}{c.name} ({c.figures})" for c in self.checks)]
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
