from tenants.models.audit import AuditEntry
from tenants.models.host import Host
from tenants.models.membership import Membership
from tenants.models.ownership import StripeObject
from tenants.models.shop import Shop, ShopSettings

__all__ = ["AuditEntry", "Host", "Membership", "Shop", "ShopSettings", "StripeObject"]
