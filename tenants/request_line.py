"""The one line that every request leaves in the log: which shop's, where, with what outcome, how long (B3).

It is most of what the log holds, so it is a type of its own that goes to the log's formatter as it is: nobody merges
contexts, copies records or asks what each value might be for it. What it says is no more and no less than that.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from tenants.secrecy import without_secrets

LOGGER: Final = logging.getLogger("holdfast.request")
LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
# A record looks for its file, thread, task and process each time it is made, and no line names them.
BLANK: Final = vars(logging.LogRecord(LOGGER.name, logging.NOTSET, "", 0, None, (), None))
_encoder: Final = msgspec.json.Encoder()
_encode: Final = _encoder.encode
_encode_lines: Final = _encoder.encode_lines
_now: Final = partial(datetime.now, UTC)


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`path` goes without its query: a session id there opens an order. `ms` is the time to answer.

    `level` is one of logging's names in lower case.
    """

    method: str
    path: str
    family: str
    role: str
    status: int
    ms: float
    event: str = "request"
    shop_id: str | None
    request_id: str
    logger: str = LOGGER.name
    level: str
    timestamp: datetime = msgspec.field(default_factory=_now)

    def as_json(self) -> str:
        """One line, free of secrets: the path and the request id are whatever a caller wrote."""
        try:
            line = _encode(self).decode()
        except UnicodeEncodeError:  # half a surrogate pair, which the standard library escapes
            line = json.dumps(msgspec.to_builtins(self), separators=(",", ":"))
        return without_secrets(line)


def as_json_lines(lines: Sequence[RequestLine]) -> str:
    """Each with its line's end; together they take half the time."""
    try:
        return without_secrets(_encode_lines(lines).decode())
    except UnicodeEncodeError:
        return "".join(line.as_json() + "\n" for line in lines)


def write(line: RequestLine) -> None:
    """Writes `line` where its level is wanted."""
    level = LEVELS[line.level]
    if LOGGER.isEnabledFor(level):
        record = logging.LogRecord.__new__(logging.LogRecord)
        vars(record).update(BLANK, msg=line, levelno=level, levelname=line.level.upper(), created=time.time())
        LOGGER.callHandlers(record)  # what `handle` does once it has run this logger's filters: there are none
