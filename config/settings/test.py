"""The test suite: development's shape, faster passwords, tasks through a real worker only where a test starts one."""

from __future__ import annotations

import os

from config.env import env
from config.settings.base import celery_number_url, redis_number_url
from config.settings.development import *  # noqa: F403

ENVIRONMENT = "test"
PLATFORM_HOSTS = ("localhost", "127.0.0.1", "testserver")
# A test's own changes of hosts and shops are seen at once (tests/fixtures/hosts.py).
HOST_MAP_SECONDS = 60.0
FRONT_DOOR_TOKEN_SECONDS = 0.0
CREDENTIAL_KEYS = ("dGVzdHMtc2VhbC13aXRoLXRoaXMta2V5LWFuZC1ubyE=",)
# Tests send everything from one address; those of the limits switch them on.
CHECKOUT_RATE_LIMIT_ENABLED = False
FRONT_DOOR_RATE_LIMIT_ENABLED = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Several runs may share one PostgreSQL and one Valkey: each names its own database, and its keys begin with that name.
TEST_DATABASE = env.str("HOLDFAST_TEST_DB", default="test_holdfast")
DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}  # noqa: F405
REDIS_KEY_PREFIX = f"{TEST_DATABASE}:{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
# A running development server uses the low numbers.
CELERY_BROKER_URL = celery_number_url(13)
REDIS_LIMITS_URL = redis_number_url(15)
REDIS_CARTS_URL = redis_number_url(15)
CART_OLDER_KEY_PREFIX = f"{REDIS_KEY_PREFIX}:older"
CACHES["default"] |= {"LOCATION": redis_number_url(14), "KEY_PREFIX": REDIS_KEY_PREFIX}  # noqa: F405
