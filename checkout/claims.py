"""Whose turn it is: the slots that a checkout claims, and who is or was in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from checkout.contracts import StartCheckout
from checkout.errors import ClientKeyConflict
from checkout.models import CheckoutAttempt
from checkout.repricing import Quote, client_digest, intent_digest
from commerce.gateway.client import AccessOnce
from tenants.context import ShopContext
from tenants.postgres.kept import KeptQuery

State, Outcome = CheckoutAttempt.State, CheckoutAttempt.Outcome


class LostTheClaim(Exception):
    """Somebody else has the slot, or the cart has moved on: look again, and reprice."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose attempt this is: the cart at one generation, the client's key, or both."""

    cart_id: UUID | None
    generation: int | None
    client_key: str | None

    def matches(self) -> Q:
        """Attempts that occupy a slot of this claim."""
        slots = Q(pk__in=[])
        if self.cart_id is not None:
            slots |= Q(cart_id=self.cart_id)
        if self.client_key is not None:
            slots |= Q(client_key=self.client_key)
        return slots

    def bought_by(self, attempt: CheckoutAttempt) -> bool:
        """Whether the attempt's session completed, paid or not, for this very claim: it is answered, never repeated."""
        same_cart = self.cart_id is not None and (attempt.cart_id, attempt.cart_generation) == (
            self.cart_id,
            self.generation,
        )
        same_key = self.client_key is not None and attempt.client_key == self.client_key
        return attempt.outcome == Outcome.COMPLETED and (same_cart or same_key)


def claim_of(command: StartCheckout, generation: int | None) -> Claim:
    return Claim(command.cart_id if command.uses_cart else None, generation, command.client_key)


def claimants(*, shop_id: str, claim: Claim) -> list[CheckoutAttempt]:
    """The claim's unfinished attempts, at most one for the cart and one for the key, and those that bought it already;
    oldest first, with their orders. One query.
    """
    counts = ~Q(state=State.CLOSED) | Q(outcome=Outcome.COMPLETED)
    attempts = CheckoutAttempt.objects.for_shop(shop_id).filter(claim.matches(), counts).select_related("order")
    return [a for a in attempts.order_by("created_at") if a.state != State.CLOSED or claim.bought_by(a)]


def newest_attempt(*, shop_id: str, claim: Claim) -> CheckoutAttempt | None:
    """What happened last in the claim's slots, whatever the cart's generation. One query."""
    attempts = CheckoutAttempt.objects.for_shop(shop_id).filter(claim.matches()).select_related("order")
    return attempts.order_by("-created_at").first()


def refuse_other_request_under_key(*, shop_id: str, command: StartCheckout) -> None:
    """Raises ClientKeyConflict when the client's key stood for another request before, finished or not."""
    if command.client_key is None:
        return
    digest = client_digest(command=command)
    earlier = CheckoutAttempt.objects.for_shop(shop_id).filter(client_key=command.client_key)
    if earlier.exclude(client_digest=digest).exists():
        raise ClientKeyConflict("This Idempotency-Key was used for another request.")


def same_intent(
    *, shop: ShopContext, attempt: CheckoutAttempt, command: StartCheckout, quote: Quote, stripe: AccessOnce
) -> bool:
    """Whether repeating `command` means this attempt: the cart's generation and the digest of the intent agree."""
    if not command.uses_cart:
        return True  # the key's digest has been compared already
    if attempt.cart_generation != quote.generation:
        return False
    account = stripe.selling().scope.account
    return attempt.intent_digest == intent_digest(shop=shop, quote=quote, command=command, account=account)


def bought_within(*, shop_id: str, claim: Claim, but: UUID) -> bool:
    """Whether the claim is bought already. Locks its earlier attempts, so that it stays so until the caller commits."""
    earlier = CheckoutAttempt.objects.for_shop(shop_id).filter(claim.matches()).exclude(pk=but)
    locked = earlier.order_by("pk").select_for_update(no_key=True)
    return any(claim.bought_by(a) for a in locked.only("outcome", "cart_id", "cart_generation", "client_key"))


def rivals_within(*, attempt: CheckoutAttempt) -> list[CheckoutAttempt]:
    """Unfinished attempts in the slots of a locked one, locked too: they must end when it turns out to be paid."""
    in_cart, by_key = attempt.cart_id is not None, attempt.client_key is not None
    slots = [slot for slot in (attempt.cart_id, attempt.client_key) if slot is not None]
    return _RIVALS[in_cart, by_key].rows(attempt.shop_id, attempt.pk, *slots) if slots else []


def _rivals(in_cart: bool, by_key: bool) -> KeptQuery[CheckoutAttempt]:
    def build(shop_id: str, but: UUID, *slots: Any) -> QuerySet[CheckoutAttempt]:
        claim = Claim(slots[0] if in_cart else None, None, slots[-1] if by_key else None)
        rivals = CheckoutAttempt.objects.for_shop(shop_id).unfinished().filter(claim.matches())
        return rivals.exclude(pk=but).order_by("pk").select_for_update(no_key=True)

    return KeptQuery(build, str, UUID, *([UUID] if in_cart else []), *([str] if by_key else []))


_RIVALS: Final = {slots: _rivals(*slots) for slots in ((True, False), (False, True), (True, True))}
