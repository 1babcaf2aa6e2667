"""Secrets at rest: sealed with the newest of CREDENTIAL_KEYS, opened with any of them (Fernet: AES-128-CBC and HMAC).

What a secret is about is sealed in with it, so that a row's ciphertext copied into another row opens nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealError(Exception):
    """A secret can't be sealed or opened: no key, an unknown one, or a text that belongs elsewhere. Never quotes it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Ciphertext, and which key made it: rotation and checks need not open anything to know."""

    text: str = field(repr=False)
    by: str


def key_id(key: str) -> str:
    """A key's name: enough of its digest to tell keys apart, nothing to find it by."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def known_keys() -> list[str]:
    """Ids of the configured keys, newest first."""
    return [key_id(key) for key in settings.CREDENTIAL_KEYS]


def seal(secret: str, *, about: str) -> Sealed:
    """Seals with the newest key. Raises SealError when there is none."""
    text = _ring().encrypt(f"{about}\n{secret}".encode()).decode()
    return Sealed(text, known_keys()[0])


def unseal(text: str, *, about: str) -> str:
    """The secret. Raises SealError for a key that is gone, a damaged text, and a text sealed about something else."""
    try:
        opened = _ring().decrypt(text.encode()).decode()
    except InvalidToken:
        raise SealError("None of CREDENTIAL_KEYS opens it.") from None
    subject, _, secret = opened.partition("\n")
    if subject != about:
        raise SealError("It was sealed about something else.")
    return secret


def _ring() -> MultiFernet:
    if not settings.CREDENTIAL_KEYS:
        raise SealError("CREDENTIAL_KEYS is not set.")
    try:
        return MultiFernet([Fernet(key) for key in settings.CREDENTIAL_KEYS])
    except ValueError:
        raise SealError("CREDENTIAL_KEYS holds a text that is no key.") from None
