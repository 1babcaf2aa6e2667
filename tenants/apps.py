from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Shops and hosts"


class BackOfficeConfig(admin_apps.AdminConfig):
    """Django's admin with the back office's own site; `tenants` means the other class of this module."""

    default = False
    default_site = "tenants.backoffice_site.Site"
