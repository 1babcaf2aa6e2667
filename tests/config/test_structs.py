"""First requests at once, in threads: the process lives."""

from __future__ import annotations

import subprocess
import sys

from config.structs import ready_structs

AT_ONCE = """
import sys, threading
import django
django.setup()
import msgspec
from config.structs import ready_structs
ready_structs()
from checkout.api.inputs import StartCheckoutInput
sys.setswitchinterval(1e-6)
together = threading.Barrier(16)
asked = {"items": [{"sku": "A", "quantity": 1}]}
def ask():
    together.wait()
    msgspec.convert(asked, StartCheckoutInput, strict=True)
threads = [threading.Thread(target=ask) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_every_struct_of_a_route_is_ready() -> None:
    assert ready_structs() >= {"StartCheckoutInput", "ItemInput", "OlderCart", "SubscribeInput"}


def test_first_requests_at_once_leave_the_process_alive() -> None:
    ended = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
