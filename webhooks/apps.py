from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"
    verbose_name = "Stripe events"

    def ready(self) -> None:
        # Late: it imports models, which exist only now.
        from tenants.metrics import register_collector
        from webhooks.metrics import InboxGauges

        register_collector(InboxGauges())
