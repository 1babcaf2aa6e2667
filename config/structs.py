"""Readies msgspec's structs before there are threads.

msgspec 0.22 makes a struct's description at its first use and shows it to other threads before it is complete: two
first requests at once end the process with a segmentation fault (tests/config/test_structs.py does it).
"""

from __future__ import annotations

from importlib import import_module

import msgspec
from django.conf import settings


def ready_structs() -> frozenset[str]:
    """Describes every struct that is loaded, the routes' among them, and names them. Before the first thread."""
    import_module(settings.ROOT_URLCONF)
    kinds, known = list(msgspec.Struct.__subclasses__()), set[type[msgspec.Struct]]()
    while kinds:
        kind = kinds.pop()
        known.add(kind)
        kinds += kind.__subclasses__()
    for kind in known:
        msgspec.json.Decoder(kind)
    return frozenset(kind.__name__ for kind in known)
