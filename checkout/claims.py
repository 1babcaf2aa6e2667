"""Whose turn it is: the slots that a checkout claims, and who is or was in them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from checkout.contracts import StartCheckout
from checkout.errors import ClientKeyConflict
from checkout.models import CheckoutAttempt
from checkout.repricing import Quote, client_digest, intent_digest
from tenants.context import ShopContext

State, Outcome = CheckoutAttempt.State, CheckoutAttempt.Outcome


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


def claim_of(command: StartCheckout, generation: int | None) -> Claim:
    return Claim(command.cart_id if command.uses_cart else None, generation, command.client_key)


def open_attempts(*, shop_id: str, claim: Claim) -> list[CheckoutAttempt]:
    """Unfinished attempts in the claim's slots: at most one for the cart and one for the key. One query."""
    return list(CheckoutAttempt.objects.for_shop(shop_id).unfinished().filter(claim.matches()).order_by("created_at"))


def newest_attempt(*, shop_id: str, claim: Claim) -> CheckoutAttempt | None:
    """What happened last in the claim's slots, whatever the cart's generation. One query."""
    attempts = CheckoutAttempt.objects.for_shop(shop_id).filter(claim.matches()).select_related("order")
    return attempts.order_by("-created_at").first()


def completed_attempt(*, shop_id: str, claim: Claim) -> CheckoutAttempt | None:
    """The newest attempt of this claim whose session completed, paid or not: it is answered, never repeated."""
    same = Q(pk__in=[])
    if claim.cart_id is not None:
        same |= Q(cart_id=claim.cart_id, cart_generation=claim.generation)
    if claim.client_key is not None:
        same |= Q(client_key=claim.client_key)
    return (
        CheckoutAttempt.objects.for_shop(shop_id)
        .filter(same, state=State.CLOSED, outcome=Outcome.COMPLETED)
        .select_related("order")
        .order_by("-created_at")
        .first()
    )


def refuse_other_request_under_key(*, shop_id: str, command: StartCheckout) -> None:
    """Raises ClientKeyConflict when the client's key stood for another request before, finished or not."""
    if command.client_key is None:
        return
    digest = client_digest(command=command)
    earlier = CheckoutAttempt.objects.for_shop(shop_id).filter(client_key=command.client_key)
    if earlier.exclude(client_digest=digest).exists():
        raise ClientKeyConflict("This Idempotency-Key was used for another request.")


def same_intent(*, shop: ShopContext, attempt: CheckoutAttempt, command: StartCheckout, quote: Quote) -> bool:
    """Whether repeating `command` means this attempt: the cart's generation and the digest of the intent agree."""
    if not command.uses_cart:
        return True  # the key's digest has been compared already
    return attempt.cart_generation == quote.generation and attempt.intent_digest == intent_digest(
        shop=shop, quote=quote, command=command
    )


def lock_claim(*, shop_id: str, claim: Claim, but: UUID) -> None:
    """Locks the claim's earlier attempts, so that what the claim looks at stays as it is until it commits."""
    earlier = CheckoutAttempt.objects.for_shop(shop_id).filter(claim.matches()).exclude(pk=but)
    list(earlier.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))


def rivals_within(*, attempt: CheckoutAttempt) -> list[CheckoutAttempt]:
    """Unfinished attempts in the slots of a locked one, locked too: they must end when it turns out to be paid."""
    claim = Claim(attempt.cart_id, attempt.cart_generation, attempt.client_key)
    rivals = CheckoutAttempt.objects.for_shop(attempt.shop_id).unfinished().filter(claim.matches())
    return list(rivals.exclude(pk=attempt.pk).order_by("pk").select_for_update(no_key=True))
