"""`manage.py issue_front_door_token`: a token for a trusted edge, where no browser is at hand."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.audit import Actor
from tenants.database import as_system
from tenants.errors import WrongState
from tenants.tokens import issue_front_door_token

ACTING = Actor("system", "manage.py")


class Command(BaseCommand):
    help = "Issues a front-door token and prints it: the only time that it can be read. At most two are valid at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--label", required=True, help="Which edge will carry it; at most 60 characters.")
        parser.add_argument("--reason", required=True, help="Kept in the audit trail.")

    @as_system()
    def handle(self, *args: Any, **options: Any) -> None:
        label, reason = options["label"].strip(), options["reason"].strip()
        if not 0 < len(label) <= 60 or len(reason) < 3:
            raise CommandError("A label has 1 to 60 characters, a reason at least 3.")
        try:
            issued = issue_front_door_token(label=label, reason=reason, acting=ACTING)
        except WrongState as error:
            raise CommandError(error.detail) from error
        # Alone on its line and alone on standard output, so that it can go straight into a secret store.
        self.stdout.write(issued.token)
