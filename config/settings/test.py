"""The test suite: development's shape, faster passwords, tasks through a real worker only where a test starts one."""

from __future__ import annotations

from config.settings.development import *  # noqa: F403

ENVIRONMENT = "test"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
