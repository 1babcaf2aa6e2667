"""JSON that remembers on which line everything stands, and every member of an object, repeated ones too.

Python's own reader does neither, and a refused row is only of use with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Final

from inventory.bulk.formats import FileRefused

MAX_DEPTH: Final = 6

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PYTHONS: Final = JSONDecoder()
_WORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Fraction:
    """A number with a fraction or an exponent, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Array:
    items: list[Node]


@dataclass(frozen=True, slots=True)
class Object:
    members: list[tuple[str, Node]]


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line on which it begins, from 1; of a member of an object, the line of its name."""

    line: int
    value: str | int | bool | Fraction | Array | Object | None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.line, self._counted = 1, 0

    def whole(self) -> Node:
        self._skip()
        node = self._node(0)
        self._skip()
        if self.at != len(self.text):
            raise self._fault("something follows the end")
        return node

    def _node(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH} levels")
        line = self._line()
        match self.text[self.at : self.at + 1]:
            case "{":
                return Node(line, self._object(depth))
            case "[":
                return Node(line, self._array(depth))
            case '"':
                return Node(line, self._string())
        if number := _NUMBER.match(self.text, self.at):
            self.at = number.end()
            whole = not (number[1] or number[2])
            # A number of 20 digits is out of every range, and Python refuses to read one of thousands.
            return Node(line, int(number[0]) if whole and len(number[0]) <= 20 else Fraction(number[0][:40]))
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return Node(line, value)
        raise self._fault("a value is missing")

    def _object(self, depth: int) -> Object:
        members = list[tuple[str, Node]]()
        while self._more("}", first=not members):
            line = self._line()
            name = self._string()
            self._expect(":")
            node = self._node(depth + 1)
            members.append((name, Node(line, node.value)))
        return Object(members)

    def _array(self, depth: int) -> Array:
        items = list[Node]()
        while self._more("]", first=not items):
            items.append(self._node(depth + 1))
        return Array(items)

    def _more(self, end: str, *, first: bool) -> bool:
        """Steps over the bracket or comma before the next entry; False when the end was there instead."""
        if first:
            self.at += 1
            self._skip()
            if self.text.startswith(end, self.at):
                self.at += 1
                return False
            return True
        self._skip()
        if self.text.startswith(end, self.at):
            self.at += 1
            return False
        self._expect(",")
        return True

    def _string(self) -> str:
        if not self.text.startswith('"', self.at):
            raise self._fault("a text in quotes is missing")
        try:
            value, self.at = _PYTHONS.raw_decode(self.text, self.at)
        except JSONDecodeError as error:
            raise self._fault("a text isn't closed, or has a broken escape") from error
        return str(value)

    def _expect(self, sign: str) -> None:
        self._skip()
        if not self.text.startswith(sign, self.at):
            raise self._fault(f"a {sign!r} is missing")
        self.at += 1
        self._skip()

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _line(self) -> int:
        self.line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self.line

    def _fault(self, what: str) -> FileRefused:
        return FileRefused(f"The JSON breaks off in line {self._line()}: {what}.")


def parse_located(text: str) -> Node:
    """The whole text. Raises FileRefused with the line of the first fault."""
    return _Reader(text).whole()
