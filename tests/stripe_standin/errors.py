"""Refusals of the API, in the shape that Stripe's clients parse."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """One refused API call.

    `keeps_changes` marks the refusals that happen after something was made: a declined card leaves its payment intent
    and its failed charge behind, everything else leaves nothing.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
        extra: Json | None = None,
        keeps_changes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.type = type
        self.extra = extra or {}
        self.keeps_changes = keeps_changes

    def body(self) -> Json:
        """The JSON answer: `{"error": {...}}`, members without a value left out as Stripe does."""
        members: Json = {"type": self.type, "code": self.code, "param": self.param, "message": self.message}
        return {"error": {name: value for name, value in members.items() if value is not None} | self.extra}


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def missing_object(noun: str, object_id: str, *, param: str = "id", status: int = 404) -> ApiError:
    """404 for an id in the path, 400 where the id arrived as a parameter."""
    return ApiError(status, f"No such {noun}: '{object_id}'", code="resource_missing", param=param)


def unknown_url(method: str, path: str) -> ApiError:
    return ApiError(404, f"Unrecognized request URL ({method}: {path}). The stand-in has no such endpoint.")


def invalid_key(shown: str) -> ApiError:
    message = f"Invalid API Key provided: {shown}" if shown else "No API key was provided; send it as a bearer token."
    return ApiError(401, message)


def rate_limited(code: str) -> ApiError:
    if code == "lock_timeout":
        return ApiError(429, "Another request holds this object; it could not be locked in time.", code="lock_timeout")
    return ApiError(429, "Too many requests in too short a time.", code="rate_limit")


def card_error(message: str, *, code: str, decline_code: str | None, extra: Json) -> ApiError:
    more = extra if decline_code is None else {"decline_code": decline_code, **extra}
    return ApiError(402, message, code=code, type="card_error", extra=more, keeps_changes=True)


def server_error(message: str = "The stand-in failed as it was told to.") -> ApiError:
    return ApiError(500, message, type="api_error")
