"""The examples of the README run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import stripe_standin
from tests.stripe_standin.options import Options, camel
from tests.stripe_standin.running import Running

README = (Path(stripe_standin.__file__).parent / "README.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_shell_examples(standin: Running) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "STANDIN": standin.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"state":"declined"' in done.stdout
    assert '"state":"challenge"' in done.stdout
    assert '"state":"complete"' in done.stdout
    assert '"net":3852' in done.stdout


def test_every_option_is_named() -> None:
    missing = [camel(name) for name in Options.__dataclass_fields__ if f"`{camel(name)}`" not in README]
    assert missing == []
