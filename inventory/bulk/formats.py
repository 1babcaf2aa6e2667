"""What kind of file it is, by its content: a name says what somebody hoped."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from io import BytesIO
from typing import Final

from tenants.errors import InvalidRequest

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_ROWS: Final = 250_000
"""Rows in a file. A quarter of a million fit into MAX_BYTES, and a worker reads them well within its time limit."""
# A workbook is a compressed archive: what it unfolds to is bounded by what its directory admits to, and the reader
# reads no byte beyond that. Texts are held in memory, sheets stream.
MAX_SHEET_BYTES: Final = 256 * 1024 * 1024
MAX_TEXTS_BYTES: Final = 32 * 1024 * 1024
MAX_PARTS: Final = 1000

_ZIP: Final = b"PK\x03\x04"
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"


class FileRefused(InvalidRequest):
    """A file of which no row can be read. The detail says why, in words for whoever made it."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"file": [detail]})


def sniff(data: bytes) -> Format:
    """The format of a file's content. Raises FileRefused."""
    if not data.strip():
        raise FileRefused("The file is empty.")
    if len(data) > MAX_BYTES:
        raise FileRefused(f"The file has more than {MAX_BYTES // (1024 * 1024)} MiB; split it.")
    if data.startswith(_ZIP):
        _check_workbook(data)
        return Format.XLSX
    if data.startswith(_OLD_OFFICE):
        raise FileRefused("This is an old or a protected Excel workbook; save it as .xlsx without a password.")
    if data.startswith(_UTF16):
        raise FileRefused("The text is UTF-16; save it as “CSV UTF-8”.")
    if b"\x00" in data:
        raise FileRefused("This is neither CSV, nor an .xlsx workbook, nor JSON.")
    return Format.JSON if text_of(data).lstrip()[:1] in {"{", "["} else Format.CSV


def text_of(data: bytes) -> str:
    """The text of a CSV or JSON file: UTF-8, with or without a byte order mark. Raises FileRefused with the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileRefused(f"Line {line} is not UTF-8 text; save the file as “CSV UTF-8”.") from error


def _check_workbook(data: bytes) -> None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = {part.filename: part.file_size for part in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise FileRefused("The workbook is damaged.") from error
    if "xl/workbook.xml" not in parts:
        raise FileRefused("This is a zip archive, and not an .xlsx workbook.")
    if len(parts) > MAX_PARTS or sum(parts.values()) > MAX_SHEET_BYTES:
        raise FileRefused("The workbook is far larger than its stock can be; copy the rows into a new one.")
    if sum(size for name, size in parts.items() if "worksheets/" not in name) > MAX_TEXTS_BYTES:
        raise FileRefused("The workbook has too much text or too many pictures; copy the rows into a new one.")
