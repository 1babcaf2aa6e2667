from tenants.models.alert_webhook import AlertWebhook
from tenants.models.audit import AuditEntry
from tenants.models.credential import ShopCredential, ShopPayments, WebhookSecret
from tenants.models.host import Host
from tenants.models.membership import Membership
from tenants.models.ownership import StripeObject
from tenants.models.service_token import ServiceToken
from tenants.models.shop import Shop, ShopSettings
from tenants.models.token import FrontDoorToken

__all__ = [
    "AlertWebhook",
    "AuditEntry",
    "FrontDoorToken",
    "Host",
    "Membership",
    "ServiceToken",
    "Shop",
    "ShopCredential",
    "ShopPayments",
    "ShopSettings",
    "StripeObject",
    "WebhookSecret",
]
