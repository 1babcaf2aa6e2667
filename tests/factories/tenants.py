"""Shops to test with."""

from __future__ import annotations

import factory

from tenants.models import Host, Shop, ShopSettings


class ShopSettingsFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ShopSettings

    currency = "EUR"
    locales = ["en", "de"]


class ShopFactory(factory.django.DjangoModelFactory):
    """An active shop that sells in EUR, with its settings."""

    class Meta:
        model = Shop
        skip_postgeneration_save = True

    id = factory.Sequence(lambda n: f"shop-{n}")
    name = factory.LazyAttribute(lambda shop: shop.id.title())
    settings = factory.RelatedFactory(ShopSettingsFactory, factory_related_name="shop")


class HostFactory(factory.django.DjangoModelFactory):
    """A canonical host `<shop>.localhost` of a new shop."""

    class Meta:
        model = Host

    shop = factory.SubFactory(ShopFactory)
    role = Host.Role.CANONICAL
    hostname = factory.LazyAttribute(lambda host: f"{host.shop.id}.localhost" if host.shop else "hooks.localhost")
