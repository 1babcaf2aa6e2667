"""The table of Stripe's failures is closed: every class of the package has its row, and so has what isn't one."""

from __future__ import annotations

import inspect

import pytest
import stripe
from stripe import _error, oauth_error

from commerce.gateway.failures import REFUSING_STATUSES, VERDICTS, Verdict, classify


def error_classes(module: object) -> set[type[Exception]]:
    found = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if issubclass(cls, stripe.StripeError)]
    return {cls for cls in found if cls.__module__ == getattr(module, "__name__", "")}


def descendants(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(descendants(child) for child in cls.__subclasses__()))


def test_every_class_of_the_package_has_a_row() -> None:
    assert set(VERDICTS) == error_classes(_error)


def test_no_class_hides_elsewhere_in_the_package() -> None:
    theirs = {cls for cls in descendants(stripe.StripeError) if cls.__module__.startswith("stripe.")}
    assert theirs == error_classes(_error) | error_classes(oauth_error)


def test_only_these_three_are_a_no() -> None:
    """Whoever adds a fourth has thought about what it proves."""
    refused = {cls.__name__ for cls, verdict in VERDICTS.items() if verdict is Verdict.REFUSED}
    assert refused == {"AuthenticationError", "PermissionError", "InvalidRequestError"}
    assert {None, 400, 401, 403, 404} == REFUSING_STATUSES


@pytest.mark.parametrize("cls", sorted(error_classes(oauth_error), key=lambda cls: cls.__name__))
def test_answers_of_another_interface_are_unknown(cls: type[Exception]) -> None:
    assert classify(cls("code", "description", http_status=400)).verdict is Verdict.UNKNOWN


def test_a_no_needs_a_status_that_says_no() -> None:
    refusals = [stripe.InvalidRequestError("No.", "param", http_status=status) for status in range(100, 600)]
    believed = {error.http_status for error in refusals if classify(error).verdict is Verdict.REFUSED}
    assert believed == {400, 401, 403, 404}


def test_a_no_before_anything_was_sent_is_one() -> None:
    assert classify(stripe.AuthenticationError("No API key provided.")).verdict is Verdict.REFUSED


class NewKindOfNo(stripe.InvalidRequestError):
    """A class that a later release of the package might bring."""


def test_a_class_without_a_row_goes_by_its_base() -> None:
    assert classify(NewKindOfNo("No.", "param", http_status=400)).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    "error", [ValueError("ours"), KeyError("id"), AttributeError("to_dict"), MemoryError(), OSError()]
)
def test_our_own_surprises_are_unknown(error: Exception) -> None:
    failure = classify(error)
    assert (failure.verdict, failure.http_status, failure.code) == (Verdict.UNKNOWN, None, "")
