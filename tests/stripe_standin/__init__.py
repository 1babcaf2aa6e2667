"""A local stand-in for Stripe: its HTTP API, its payment page and its webhooks, for development and tests only.

It is a process of its own (`python -m tests.stripe_standin`) with its own storage, so that what the product knows of a
payment is only ever what it learnt over HTTP, as with Stripe itself. README.md beside this file shows how to use it.
"""

API_VERSION = "2026-10-28.endive"
