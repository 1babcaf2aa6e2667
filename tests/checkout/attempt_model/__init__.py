"""The checkout's attempt protocol as an explicit-state model: all interleavings of a small world, breadth first.

Two tabs of one customer, workers, Stripe and time act in any order. One database transaction is one step; one call to
Stripe is one step over there, whose answer may get lost; any process may stop for good between two steps. Leases are
left out: they keep processes from doing the same work twice, and nothing may depend on them, so here whoever wants to
send sends.

`world` is what exists, `protocol` what checkout/{start,attempts,closing,settle,resolver,release_guard}.py do,
`surroundings` what customers, Stripe and time do to it, `invariants` what must hold, `explore` the search.
Everything at once: `python -m tests.checkout.attempt_model --workers 2 --late-pay`; `--help` tells the rest.
"""
