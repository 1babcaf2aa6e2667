"""What the background jobs of this app found, kept so that every process can report it."""

from __future__ import annotations

from django.db import models


class InventoryRun(models.Model):
    """One finished run of the reaper or of the stock proof. Global, as the jobs are; kept for a week."""

    class Kind(models.TextChoices):
        REAP = "reap", "Reaper"
        VERIFY = "verify", "Stock proof"

    kind = models.CharField(max_length=8, choices=Kind)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    healthy = models.BooleanField(help_text="Nothing failed and nothing drifted.")
    report = models.JSONField()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="inventory_run_kind_known", condition=models.Q(kind__in=["reap", "verify"])),
        )
        indexes = (
            # readers: the metrics (the newest of a kind), the weekly clean-up
            models.Index(name="inventory_run_latest", fields=["kind", "-finished_at"]),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.finished_at:%Y-%m-%d %H:%M:%S}"
