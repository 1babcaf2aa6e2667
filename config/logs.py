"""One JSON line per event, on standard output. Never a secret, a card or personal data (B3)."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO, cast

import msgspec
import structlog

from tenants.request_line import RequestLine, as_json_lines
from tenants.secrecy import without_secrets

SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
PLAIN = (str, int, float)


def _hide_secrets(logger: Any, method: str, line: str) -> str:
    """The last look at a finished line: whatever quoted a key, exceptions of other packages included, doesn't here."""
    return without_secrets(line)


def _as_json(event: dict[str, Any], default: Callable[[Any], Any]) -> str:
    """Lines of plain values in a third of the standard library's time.

    Any other value goes through `default`, its repr: msgspec would write out an object's fields, hidden ones included.
    """
    if all(value is None or isinstance(value, PLAIN) for value in event.values()):
        try:
            return msgspec.json.encode(event).decode()
        except UnicodeEncodeError:
            pass  # half a surrogate pair, which the standard library escapes
    return json.dumps(event, default=default, separators=(",", ":"))


class JsonLines(structlog.stdlib.ProcessorFormatter):
    """Everybody's lines; the request line, which is most of them, knows its own form."""

    def format(self, record: logging.LogRecord) -> str:
        if type(record.msg) is RequestLine:
            return record.msg.as_json()
        return super().format(record)


class Lines(logging.StreamHandler[TextIO]):
    """Writes each line at once, but for request lines that report no failure: these wait for company, at most
    `TOGETHER_SECONDS`, because a write of its own is a sixth of what the front door costs a request. The order is kept.
    A process that ends takes none with it; one that is killed, those of its last tenth of a second.
    """

    TOGETHER_SECONDS = 0.1
    MOST_TOGETHER = 500
    """A busier process writes more often."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Also in a forked child: the lines that wait and the thread that writes them are its parent's."""
        self._waiting: deque[logging.LogRecord] = deque()
        self._expected = False
        self._wake = threading.Event()
        self._writer: threading.Thread | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        if type(record.msg) is not RequestLine:
            self._write_waiting()  # what came before stands before
            return bool(super().handle(record))
        self._waiting.append(record)
        if record.levelno >= logging.WARNING or len(self._waiting) >= self.MOST_TOGETHER:
            self._write_waiting()
        elif not self._expected:
            self._expected = True
            self._wake_writer()
        return True

    def flush(self) -> None:
        self._write_waiting()
        super().flush()

    def _write_waiting(self) -> None:
        """A log that can't be written fails nobody."""
        if self.lock is None:
            return  # closed
        with self.lock:
            records = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not records:
                return
            try:
                self.stream.write(as_json_lines([cast(RequestLine, record.msg) for record in records]))
                super().flush()
            except Exception:
                self.handleError(records[0])

    def _wake_writer(self) -> None:
        if self._writer is None:
            try:
                self._writer = threading.Thread(target=self._write_together, name="request-lines", daemon=True)
                self._writer.start()
            except RuntimeError:  # the interpreter is about to end
                self._writer = None
                self._write_waiting()
        self._wake.set()

    def _write_together(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            time.sleep(self.TOGETHER_SECONDS)
            self._expected = False  # first: a line that comes during the write wakes us again
            self._write_waiting()


def configuration(*, level: str) -> dict[str, Any]:
    """The LOGGING setting; configures structlog as a side effect, so that both speak the same lines."""
    # No line says where in the code it was written or by which thread: then nobody needs to find out. Gunicorn's own
    # lines do say by which process.
    logging._srcfile = None  # the documented switch
    logging.logThreads = logging.logMultiprocessing = False
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": JsonLines,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(serializer=_as_json),
                    _hide_secrets,
                ],
                "foreign_pre_chain": SHARED_PROCESSORS,
            }
        },
        "handlers": {"stdout": {"()": Lines, "formatter": "json", "stream": "ext://sys.stdout"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # The request line is the front door's; Django's own would repeat it. Its errors carry the tracebacks.
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "WARNING"},
            # Prose about each failed login; the request line tells the lock by its 429.
            "axes": {"level": "ERROR"},
            # Stripe's package logs request parameters at INFO: personal data.
            "stripe": {"level": "WARNING"},
        },
    }
