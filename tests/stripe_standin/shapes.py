"""The full set of members of each object, so that a client finds every name its SDK class declares."""

from __future__ import annotations

from .errors import Json

NO_ADDRESS: Json = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}

NO_CUSTOM_TEXT: Json = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))


def session(session_id: str, now: int) -> Json:
    nulls = (
        "adaptive_pricing after_expiration allow_promotion_codes allowed_payment_method_types amount_subtotal "
        "amount_total billing_address_collection branding_settings cancel_url client_reference_id client_secret "
        "collected_information consent consent_collection currency currency_conversion customer customer_account "
        "customer_creation customer_details customer_email discounts excluded_payment_method_types "
        "integration_identifier invoice locale name_collection optional_items origin_context payment_intent "
        "payment_link payment_method_collection payment_method_configuration_details permissions presentment_details "
        "recovered_from return_url redirect_on_completion saved_payment_method_options setup_intent "
        "shipping_address_collection shipping_cost submit_type subscription success_url tax_id_collection "
        "total_details url wallet_options"
    )
    return {
        "id": session_id,
        "object": "checkout.session",
        **dict.fromkeys(nulls.split()),
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": now,
        "custom_fields": [],
        "custom_text": dict(NO_CUSTOM_TEXT),
        "expires_at": now,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "mode": "payment",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "ui_mode": "hosted_page",
    }


def intent(intent_id: str, now: int, *, amount: int, currency: str) -> Json:
    nulls = (
        "allowed_payment_method_types application application_fee_amount automatic_payment_methods canceled_at "
        "cancellation_reason customer customer_account description excluded_payment_method_types hooks "
        "last_payment_error latest_charge managed_payments next_action on_behalf_of payment_details payment_method "
        "payment_method_configuration_details payment_record presentment_details processing receipt_email review "
        "setup_future_usage shipping source statement_descriptor statement_descriptor_suffix transfer_data "
        "transfer_group"
    )
    return {
        "id": intent_id,
        "object": "payment_intent",
        **dict.fromkeys(nulls.split()),
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": now,
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    }


def charge(charge_id: str, now: int, *, amount: int, currency: str) -> Json:
    nulls = (
        "application application_fee application_fee_amount authorization_code balance_transaction "
        "calculated_statement_descriptor customer description failure_balance_transaction failure_code "
        "failure_message level3 on_behalf_of outcome payment_intent payment_method payment_method_details "
        "presentment_details receipt_email receipt_number receipt_url review shipping source source_transfer "
        "statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
    )
    return {
        "id": charge_id,
        "object": "charge",
        **dict.fromkeys(nulls.split()),
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": {"address": dict(NO_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None},
        "captured": False,
        "created": now,
        "currency": currency,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "paid": False,
        "radar_options": {},
        "refunded": False,
        "status": "pending",
    }


def outcome(*, approved: bool, reason: str | None = None) -> Json:
    return {
        "advice_code": None if approved else "try_again_later",
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if approved else "declined_by_network",
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "Payment complete." if approved else "The bank declined the payment.",
        "type": "authorized" if approved else "issuer_declined",
    }


def refund(refund_id: str, now: int, *, amount: int, currency: str) -> Json:
    nulls = (
        "balance_transaction charge customer customer_account description failure_balance_transaction failure_reason "
        "instructions_email next_action payment_intent payment_method pending_reason presentment_details reason "
        "receipt_number source_transfer_reversal transfer_reversal"
    )
    return {
        "id": refund_id,
        "object": "refund",
        **dict.fromkeys(nulls.split()),
        "amount": amount,
        "created": now,
        "currency": currency,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": {},
        "status": "succeeded",
    }


def dispute(dispute_id: str, now: int, *, amount: int, currency: str) -> Json:
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": None,
        "created": now,
        "currency": currency,
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": None,
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10.4"},
            "type": "card",
        },
        "reason": "general",
        "status": "needs_response",
    }


def customer(customer_id: str, now: int) -> Json:
    nulls = (
        "address business_name currency customer_account default_source description discount email individual_name "
        "name phone shipping test_clock"
    )
    return {
        "id": customer_id,
        "object": "customer",
        **dict.fromkeys(nulls.split()),
        "balance": 0,
        "created": now,
        "delinquent": False,
        "invoice_prefix": customer_id[-8:].upper(),
        "invoice_settings": dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options")),
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def price(price_id: str, now: int, *, currency: str, product: str) -> Json:
    nulls = "custom_unit_amount lookup_key nickname recurring tiers_mode transform_quantity unit_amount"
    return {
        "id": price_id,
        "object": "price",
        **dict.fromkeys(nulls.split()),
        "active": True,
        "billing_scheme": "per_unit",
        "created": now,
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "product": product,
        "tax_behavior": "unspecified",
        "type": "one_time",
        "unit_amount_decimal": None,
    }


def product(product_id: str, now: int, name: str) -> Json:
    nulls = (
        "default_price description package_dimensions shippable statement_descriptor tax_code tax_details "
        "unit_label url"
    )
    return {
        "id": product_id,
        "object": "product",
        **dict.fromkeys(nulls.split()),
        "active": True,
        "created": now,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "type": "service",
        "updated": now,
    }


def payment_method(method_id: str, now: int, kind: str, details: Json, billing: Json) -> Json:
    return {
        "id": method_id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing,
        "created": now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
        kind: details,
    }
