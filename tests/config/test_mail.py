"""EMAIL_URL becomes Django's mail settings, or stops the process."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import mail_settings

SMTP = "django.core.mail.backends.smtp.EmailBackend"


def test_a_mail_server():
    found = mail_settings("smtp+tls://shop%40mail.test:p%40ss%2Fword@mail.test:2525")
    assert found == {
        "EMAIL_BACKEND": SMTP,
        "EMAIL_HOST": "mail.test",
        "EMAIL_PORT": 2525,
        "EMAIL_HOST_USER": "shop@mail.test",
        "EMAIL_HOST_PASSWORD": "p@ss/word",
        "EMAIL_USE_TLS": True,
    }
    assert mail_settings("smtp+ssl://mail.test:465")["EMAIL_USE_SSL"] is True
    assert "EMAIL_USE_TLS" not in mail_settings("smtp://mail.test:25")


def test_printing():
    assert mail_settings("consolemail://")["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"


@pytest.mark.parametrize(
    "url", ["mail.test", "http://mail.test", "smtp://", "smtp://mail.test:port", "filemail:///x", "://"]
)
def test_anything_else_is_refused(url: str):
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL"):
        mail_settings(url)
