"""What gunicorn makes of a request with our settings, before any of our code runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

HERE = ("127.0.0.1", 4000)  # gunicorn trusts proxies on its own machine


def environ(monkeypatch: pytest.MonkeyPatch, *headers: str) -> dict[str, object]:
    config = Path(__file__).parents[2] / "config" / "gunicorn.py"
    monkeypatch.setattr("sys.argv", ["gunicorn", "--config", str(config), "config.wsgi:application"])
    settings = WSGIApplication().cfg
    lines = ["GET /x/admin/ HTTP/1.1", "Host: acme.localhost", *headers, "", ""]
    asked = next(RequestParser(settings, iter(["\r\n".join(lines).encode()]), HERE))
    return dict(create(asked, None, HERE, HERE, settings)[1])


@pytest.mark.parametrize(
    "header", ["SCRIPT_NAME: /x", "Script_Name: /x", "Script-Name: /x", "PATH_INFO: /admin/", "Path-Info: /admin/"]
)
def test_no_header_moves_the_path(monkeypatch: pytest.MonkeyPatch, header: str):
    found = environ(monkeypatch, header)
    assert (found["PATH_INFO"], found["SCRIPT_NAME"], found["RAW_URI"]) == ("/x/admin/", "", "/x/admin/")


def test_names_with_an_underscore_do_not_pass_for_those_with_a_hyphen(monkeypatch: pytest.MonkeyPatch):
    found = environ(monkeypatch, "X_Shop_Id: victim", "X-Shop_Id: victim", "Host_: victim")
    assert [name for name, value in found.items() if value == "victim"] == []
