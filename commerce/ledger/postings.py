"""What is posted when: one function per business event in money, each in its caller's transaction, each once.

Everything that touches `stripe_clearing` names the Stripe object behind it as `source`, so that the account's balance
can be held against Stripe's own books object by object (tie_out.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from commerce.charges.models import Charge
from commerce.gateway.balance import BalanceFacts
from commerce.ledger import accounts
from commerce.ledger.journal import Posting, post_within
from commerce.ledger.models import JournalEntry, JournalLine
from commerce.money import format_minor
from commerce.orders.models import Order
from commerce.returns.models import Refund
from commerce.subscriptions.models import Invoice

Kind = JournalEntry.Kind

# What was collected off a saved card, by why it was: the entry, and whose income it is.
COLLECTED: Final = {
    Charge.Purpose.DEPOSIT: (Kind.DEPOSIT_CAPTURED, accounts.DEPOSITS_KEPT),
    Charge.Purpose.LATE_FEE: (Kind.LATE_FEE, accounts.LATE_FEES),
    Charge.Purpose.DAMAGE: (Kind.DAMAGE, accounts.DAMAGES),
}


def post_capture_within(*, order: Order, reference: str, charge_id: str, now: datetime, request_id: str) -> bool:
    """Money taken for an order whose charged amounts have been written. `reference` is the session's id."""
    return post_within(
        Posting(
            shop_id=order.shop_id,
            kind=Kind.CAPTURE,
            reference=reference,
            currency=order.currency,
            order_id=order.pk,
            source=charge_id,
            request_id=request_id,
            amounts={
                accounts.CLEARING: order.total_amount,
                accounts.REVENUE: order.discount_amount - order.subtotal_amount,
                accounts.SHIPPING: -order.shipping_amount,
                accounts.TAX: -order.tax_amount,
                accounts.DEPOSITS: -order.deposit_amount,
            },
        ),
        now=now,
    )


def post_external_within(*, order: Order, now: datetime) -> bool:
    """Money for a whole order that was received elsewhere: in cash, by terminal, by transfer. Stripe has none of it."""
    return post_within(
        Posting(
            shop_id=order.shop_id,
            kind=Kind.EXTERNAL,
            reference=str(order.pk),
            currency=order.currency,
            order_id=order.pk,
            request_id=order.request_id,
            amounts={
                accounts.EXTERNAL: order.total_amount,
                accounts.REVENUE: order.discount_amount - order.subtotal_amount,
                accounts.SHIPPING: -order.shipping_amount,
                accounts.TAX: -order.tax_amount,
                accounts.DEPOSITS: -order.deposit_amount,
            },
        ),
        now=now,
    )


def post_external_refund_within(*, order: Order, refund: Refund, now: datetime) -> bool:
    """Money that is given back as it came: by hand. The refund's row is its record."""
    return post_within(
        Posting(
            shop_id=order.shop_id,
            kind=Kind.REFUND,
            reference=str(refund.refund_id),
            currency=order.currency,
            order_id=order.pk,
            request_id=order.request_id,
            amounts={
                accounts.EXTERNAL: -refund.amount,
                accounts.DEPOSITS: refund.deposit_amount,
                accounts.TAX: refund.tax_amount,
                accounts.RETURNS: refund.amount - refund.deposit_amount - refund.tax_amount,
            },
        ),
        now=now,
    )


def post_charge_within(*, order: Order, charge: Charge, now: datetime) -> bool:
    """Money collected off a card that the customer left. What is only held there is nobody's money yet."""
    kind, income = COLLECTED[Charge.Purpose(charge.purpose)]
    return post_within(
        Posting(
            shop_id=order.shop_id,
            kind=kind,
            reference=charge.charge_id,
            currency=order.currency,
            order_id=order.pk,
            source=charge.charge_id,
            memo=charge.reason,
            request_id=charge.request_id,
            amounts={accounts.CLEARING: charge.captured_amount, income: -charge.captured_amount},
        ),
        now=now,
    )


def post_charge_refund_within(
    *, order: Order, charge: Charge, refund_id: str, txn: BalanceFacts, amount: int, now: datetime
) -> bool:
    """Money off a saved card that went back, `amount` in minor units: so much less was collected, for what it was."""
    _convert_within(of=order, txn=txn, gross=-amount, now=now)
    _, income = COLLECTED[Charge.Purpose(charge.purpose)]
    return post_within(
        Posting(
            **_behind(order),
            kind=Kind.REFUND,
            reference=refund_id,
            currency=order.currency,
            source=refund_id,
            memo=charge.reason,
            amounts={accounts.CLEARING: -amount, income: amount},
        ),
        now=now,
    )


def post_charge_refund_reversal_within(
    *, order: Order, refund_id: str, txn: BalanceFacts, amount: int, now: datetime
) -> bool:
    """A refund of such money that came back: the exact opposite of what was posted for it."""
    return _reversal_within(of=order, refund_id=refund_id, txn=txn, amount=amount, now=now)


def post_invoice_within(*, invoice: Invoice, charge_id: str, now: datetime) -> bool:
    """Money taken for a subscription. What was left on the customer's balance is income when it was paid: here is what
    came in, and of its tax the share that came in with it.
    """
    tax = share_of_tax(invoice, invoice.amount_paid)
    return post_within(
        Posting(
            shop_id=invoice.shop_id,
            kind=Kind.INVOICE,
            reference=invoice.invoice_id,
            currency=invoice.currency,
            invoice_id=invoice.pk,
            source=charge_id,
            amounts={
                accounts.CLEARING: invoice.amount_paid,
                accounts.REVENUE: tax - invoice.amount_paid,
                accounts.TAX: -tax,
            },
        ),
        now=now,
    )


def share_of_tax(invoice: Invoice, amount: int) -> int:
    """How much of the first `amount` of an invoice is tax, in minor units, rounded down: all of it has all the tax."""
    return invoice.tax_amount * amount // invoice.total_amount if invoice.total_amount else 0


def post_invoice_refund_within(
    *, invoice: Invoice, refund_id: str, txn: BalanceFacts, amount: int, now: datetime
) -> bool:
    """Money of a subscription that went back, `amount` in minor units, on top of what had gone back before."""
    _convert_within(of=invoice, txn=txn, gross=-amount, now=now)
    before = share_of_tax(invoice, invoice.refunded_amount)
    tax = share_of_tax(invoice, invoice.refunded_amount + amount) - before
    return post_within(
        Posting(
            shop_id=invoice.shop_id,
            kind=Kind.REFUND,
            reference=refund_id,
            currency=invoice.currency,
            invoice_id=invoice.pk,
            source=refund_id,
            amounts={accounts.CLEARING: -amount, accounts.TAX: tax, accounts.RETURNS: amount - tax},
        ),
        now=now,
    )


def post_invoice_refund_reversal_within(
    *, invoice: Invoice, refund_id: str, txn: BalanceFacts, amount: int, now: datetime
) -> bool:
    """A refund of a subscription's money that came back: the exact opposite of what was posted for it."""
    return _reversal_within(of=invoice, refund_id=refund_id, txn=txn, amount=amount, now=now)


def _reversal_within(*, of: Order | Invoice, refund_id: str, txn: BalanceFacts, amount: int, now: datetime) -> bool:
    posted = JournalLine.objects.for_shop(of.shop_id).filter(
        entry__shop_id=of.shop_id, entry__kind=Kind.REFUND, entry__reference=refund_id
    )
    _convert_within(of=of, txn=txn, gross=amount, now=now)
    return post_within(
        Posting(
            **_behind(of),
            kind=Kind.REFUND_REVERSAL,
            reference=refund_id,
            currency=of.currency,
            source=refund_id,
            amounts={line.account: -line.amount for line in posted},
        ),
        now=now,
    )


def _behind(of: Order | Invoice) -> dict[str, Any]:
    """Whose money it is, as a posting says it."""
    if isinstance(of, Order):
        return {"shop_id": of.shop_id, "order_id": of.pk, "request_id": of.request_id}
    return {"shop_id": of.shop_id, "invoice_id": of.pk}


def post_fee_within(*, of: Order | Invoice, txn: BalanceFacts, gross: int, now: datetime) -> bool:
    """What Stripe kept of a charge of `gross` (minor units of what it paid for), by its balance transaction. Where
    Stripe settles in another currency, the gross changes currency first.
    """
    _convert_within(of=of, txn=txn, gross=gross, now=now)
    return post_within(
        Posting(
            **_behind(of),
            kind=Kind.FEE,
            reference=txn.id,
            currency=txn.currency,
            source=txn.source,
            amounts={accounts.FEES: txn.fee, accounts.CLEARING: -txn.fee},
        ),
        now=now,
    )


def post_dispute_within(*, of: Order | Invoice, txn: BalanceFacts, now: datetime) -> bool:
    """Money that a dispute took or gave back, and Stripe's fee with it, by one of the dispute's balance transactions.
    `txn.source` is the dispute. Once per transaction: withdrawal and reinstatement are two.
    """
    kind = Kind.DISPUTE_WITHDRAWN if txn.amount < 0 else Kind.DISPUTE_REINSTATED
    return post_within(
        Posting(
            **_behind(of),
            kind=kind,
            reference=txn.id,
            currency=txn.currency,
            source=txn.source,
            amounts={
                accounts.CLEARING: txn.amount - txn.fee,
                accounts.DISPUTES: -txn.amount,
                accounts.DISPUTE_FEES: txn.fee,
            },
        ),
        now=now,
    )


def post_deposit_kept_within(*, order: Order, reference: str, amount: int, memo: str, now: datetime) -> bool:
    """A part of a deposit that won't be given back: what was owed to the customer becomes the shop's."""
    return post_within(
        Posting(
            shop_id=order.shop_id,
            kind=Kind.DEPOSIT_KEPT,
            reference=reference,
            currency=order.currency,
            order_id=order.pk,
            memo=memo,
            request_id=order.request_id,
            amounts={accounts.DEPOSITS: amount, accounts.DEPOSITS_KEPT: -amount},
        ),
        now=now,
    )


def post_refund_within(*, order: Order, refund: Refund, txn: BalanceFacts, now: datetime) -> bool:
    """Money that left Stripe's balance for a customer: their deposit, the tax on what they gave back, the rest."""
    return _refund_within(order=order, refund=refund, txn=txn, kind=Kind.REFUND, sign=1, now=now)


def post_refund_reversal_within(*, order: Order, refund: Refund, txn: BalanceFacts, now: datetime) -> bool:
    """A refund whose money came back: the exact opposite of what was posted for it."""
    return _refund_within(order=order, refund=refund, txn=txn, kind=Kind.REFUND_REVERSAL, sign=-1, now=now)


def _refund_within(
    *, order: Order, refund: Refund, txn: BalanceFacts, kind: JournalEntry.Kind, sign: int, now: datetime
) -> bool:
    _convert_within(of=order, txn=txn, gross=-sign * refund.amount, now=now)
    return post_within(
        Posting(
            shop_id=order.shop_id,
            kind=kind,
            reference=str(refund.refund_id),
            currency=order.currency,
            order_id=order.pk,
            source=str(refund.refund_id),
            request_id=order.request_id,
            amounts={
                accounts.CLEARING: -sign * refund.amount,
                accounts.DEPOSITS: sign * refund.deposit_amount,
                accounts.TAX: sign * refund.tax_amount,
                accounts.RETURNS: sign * (refund.amount - refund.deposit_amount - refund.tax_amount),
            },
        ),
        now=now,
    )


def _convert_within(*, of: Order | Invoice, txn: BalanceFacts, gross: int, now: datetime) -> None:
    """An entry has one currency: the gross leaves the charge's in one, and arrives in the settlement's in another."""
    if txn.currency == of.currency:
        return
    became = f"{format_minor(abs(gross), of.currency, 'en')} as {format_minor(abs(txn.amount), txn.currency, 'en')}"
    for side, currency, amount in (
        ("out", of.currency, -gross),
        ("in", txn.currency, txn.amount),
    ):
        post_within(
            Posting(
                **_behind(of),
                kind=Kind.CONVERSION,
                reference=f"{txn.id}:{side}",
                currency=currency,
                source=txn.source,
                memo=became,
                amounts={accounts.CLEARING: amount, accounts.EXCHANGE: -amount},
            ),
            now=now,
        )
