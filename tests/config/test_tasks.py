"""A task that a request causes carries the request's id and shop, through a real broker into a real worker (T7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from tenants.context import shop_of
from tests.factories.tenants import HostFactory
from tests.fixtures.prepared import own_database_url
from tests.house.code import ROOT
from tests.tenants.shop_tasks import look_around

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Celery's own and harmless.
TASK = "celery.accumulate"


def enqueue(request: HttpRequest) -> HttpResponse:
    current_app.send_task(TASK, args=[1], queue=request.GET["queue"], task_id=request.GET["task"])
    return HttpResponse("ok")


def enqueue_for_shop(request: HttpRequest) -> HttpResponse:
    wanted = {"queue": request.GET["queue"], "task_id": request.GET["task"]}
    look_around.apply_async_on_commit(kwargs={"shop_id": shop_of(request).shop_id}, **wanted)
    return HttpResponse("ok")


urlpatterns = [path("api/cart", enqueue), path("api/catalog", enqueue_for_shop)]


class Worker:
    """`celery worker` as in production but for its queue, which is its own: others use this broker too. It knows the
    tests' tasks and works on the tests' database.
    """

    def __init__(self, log: Path) -> None:
        self.queue, self.log = f"test-{uuid4().hex}", log
        command = "celery -A config worker --pool solo --without-gossip --without-mingle --without-heartbeat"
        command += f" --include {look_around.run.__module__} -Q"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command.split(), self.queue],
                cwd=ROOT,
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "config.settings.test",
                    "DATABASE_URL": own_database_url(),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def line(self, **wanted: str) -> dict[str, Any]:
        """The first line of its log with these members; waits for it."""
        until = time.monotonic() + 45
        while time.monotonic() < until:
            for text in self.log.read_text().splitlines():
                line = json.loads(text) if text.startswith("{") else {}
                if wanted.items() <= line.items():
                    return line
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"No line {wanted} in:\n{self.log.read_text()}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        with current_app.connection_for_write() as broker:
            broker.default_channel.queue_delete(self.queue)


@pytest.fixture(scope="module")
def worker(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("worker") / "log")
    yield worker
    worker.stop()


def test_the_id_and_the_shop_of_the_request_that_caused_it(client: Client, settings: Settings, worker: Worker):
    settings.ROOT_URLCONF = __name__
    HostFactory(shop__id="acme")
    task = uuid4().hex
    headers = {"Host": "acme.localhost", "X-Request-Id": "caused-by-this"}
    assert client.get("/api/cart", {"queue": worker.queue, "task": task}, headers=headers).status_code == 200
    for event in ("task_started", "task_succeeded"):
        line = worker.line(event=event, task_id=task)
        assert (line["request_id"], line["shop_id"]) == ("caused-by-this", "acme")


def test_nothing_of_it_sticks_to_the_next_task_of_that_worker(worker: Worker):
    task = uuid4().hex
    current_app.send_task(TASK, args=[1], queue=worker.queue, task_id=task)
    assert {"request_id", "shop_id"} & set(worker.line(event="task_succeeded", task_id=task)) == set()


@pytest.mark.django_db(transaction=True)
def test_a_shops_task_finds_its_shop_and_the_request_that_caused_it(client: Client, settings: Settings, worker: Worker):
    settings.ROOT_URLCONF = __name__
    HostFactory(shop__id="acme")
    task = uuid4().hex
    headers = {"Host": "acme.localhost", "X-Request-Id": "caused-by-this"}
    assert client.get("/api/catalog", {"queue": worker.queue, "task": task}, headers=headers).status_code == 200
    line = worker.line(event="looked_around", task_id=task)
    assert (line["request_id"], line["shop_id"]) == ("caused-by-this", "acme")


@pytest.mark.parametrize("kwargs", [{}, {"shop_id": "nobody"}])
def test_a_worker_refuses_a_shops_task_without_its_shop(worker: Worker, kwargs: dict[str, str]):
    """Sent past our own sending, by name, as an older process or another program may."""
    task = uuid4().hex
    current_app.send_task(look_around.name, kwargs=kwargs, queue=worker.queue, task_id=task)
    assert worker.line(event="task_failed", task_id=task)["error"] in {
        "tests.look_around works for one shop, named by shop_id.",
        "There is no shop 'nobody'.",
    }
