"""Verbs that take a bare id take the caller's scope beside it: outside it there is no such row, whatever was shown.

Called here without the back office, as by one whose page had forgotten its scope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from tenants.audit import Actor
from tenants.credentials import forget_account
from tenants.domain_probes import Probes
from tenants.errors import Forbidden, NotFound
from tenants.models import Host, ServiceToken, ShopCredential, WebhookSecret
from tenants.onboarding import move_host, verify_host
from tenants.service_tokens import end_older_secret, issue_service_token, revoke_service_token, rotate_service_token
from tenants.staff import EVERY_SHOP, StaffScope
from tenants.webhook_secrets import remove_secret, roll_secret
from tests.fixtures.standin import StandIn
from tests.isolation.sides import World
from webhooks.dead_letters import NotReplayable, replay_event
from webhooks.models import StripeEvent

WHO = {"reason": "Mine now", "acting": Actor("staff", "mallory")}
NO_NETWORK = Probes(lambda name: ["192.0.2.1"], lambda name: [], lambda name, path: "", lambda name: timezone.now())

# `(whose rows, the verb on one of them)`
VERBS: list[tuple[type[Any], Callable[[Any, StaffScope, World], object]]] = [
    (ShopCredential, lambda pk, scope, world: forget_account(credential_id=pk, scope=scope, **WHO)),
    (Host, lambda pk, scope, world: verify_host(host_id=pk, scope=scope, probes=NO_NETWORK, **WHO)),
    (Host, lambda pk, scope, world: move_host(host_id=pk, scope=scope, to_shop=world.here.trade.shop, **WHO)),
    (StripeEvent, lambda pk, scope, world: replay_event(event_pk=pk, scope=scope, **WHO)),
    (WebhookSecret, lambda pk, scope, world: remove_secret(secret_id=pk, scope=scope, **WHO)),
    (
        WebhookSecret,
        lambda pk, scope, world: roll_secret(
            secret_id=pk, scope=scope, secret="whsec_of_somebody_else", overlap_hours=0, **WHO
        ),
    ),
    (ServiceToken, lambda pk, scope, world: revoke_service_token(token_id=pk, scope=scope, **WHO)),
    (ServiceToken, lambda pk, scope, world: end_older_secret(token_id=pk, scope=scope, **WHO)),
    (
        ServiceToken,
        lambda pk, scope, world: rotate_service_token(token_id=pk, scope=scope, overlap_hours=1, **WHO),
    ),
]


@pytest.mark.parametrize("scope", [StaffScope(frozenset({"alder-shop"})), StaffScope(frozenset())])
def test_another_shops_id_finds_nothing(world: World, scope: StaffScope):
    """Another shop's rows, and the platform's own; the second scope is of somebody who is a member of nothing."""
    before, tried = world.untouched(), 0
    for model, verb in VERBS:
        for row in world.here.others(model):
            tried += 1
            with pytest.raises(NotFound):
                verb(row.pk, scope, world)
    assert tried >= 10
    assert world.untouched() == before


def test_what_is_in_scope_is_found(world: World):
    """So that it is the scope that the test above meets."""
    theirs = ShopCredential.objects.get(shop_id=world.there.shop_id)
    for scope in (StaffScope(frozenset({world.there.shop_id})), EVERY_SHOP):
        ShopCredential.objects.filter(pk=theirs.pk).update(status="retired", sealed="x", sealed_by="y")
        assert forget_account(credential_id=theirs.pk, scope=scope, **WHO).status == "forgotten"


def test_no_host_is_given_to_a_shop_outside_the_scope(world: World):
    before = world.untouched()
    mine = Host.objects.get(shop_id=world.here.shop_id)
    with pytest.raises(NotFound, match="shop"):
        scope = StaffScope(frozenset({world.here.shop_id}))
        move_host(host_id=mine.pk, scope=scope, to_shop=world.there.trade.shop, **WHO)
    assert world.untouched() == before
    mine.refresh_from_db()
    assert mine.shop_id == world.here.shop_id


@pytest.mark.parametrize("scope", [StaffScope(frozenset({"alder-shop"})), StaffScope(frozenset())])
def test_no_token_is_issued_for_a_shop_outside_the_scope(world: World, scope: StaffScope):
    before = world.untouched()
    for shop_id, error in ((world.there.shop_id, NotFound), ("nobody", NotFound), (None, Forbidden)):
        with pytest.raises(error):
            issue_service_token(shop_id=shop_id, scope=scope, label="mine", scopes=["orders:read"], **WHO)
    assert world.untouched() == before


def test_no_replay_acts_for_a_shop_outside_the_scope(world: World, known_standin: StandIn):
    """An event that was taken for this shop's turns out to be the other's: it is left as it was."""
    mine = StripeEvent.objects.get(event_id=f"evt_dead_of_{world.here.shop_id}")
    session = known_standin.session(world.there.sessions["paid"])
    payload = {"livemode": False, "type": "checkout.session.completed", "data": {"object": session}}
    StripeEvent.objects.filter(pk=mine.pk).update(
        type="checkout.session.completed", object_id=session["id"], payload=payload
    )
    before = world.untouched()
    with pytest.raises(NotReplayable, match="not this shop's"):
        replay_event(event_pk=mine.pk, scope=StaffScope(frozenset({world.here.shop_id})), **WHO)
    assert world.untouched() == before
    mine.refresh_from_db()
    assert (mine.status, mine.shop_id, mine.attempts) == ("dead", world.here.shop_id, 0)
    assert replay_event(event_pk=mine.pk, scope=EVERY_SHOP, **WHO).shop_id == world.there.shop_id
