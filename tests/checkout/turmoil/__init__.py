"""The checkout's real code in the hands of a scheduler that loves trouble.

Tabs, webhook deliveries, resolver, reaper, staff and polls are threads. Each stops before every transaction and around
every call to Stripe; who goes on next, who dies there, what the network does and how far the clock jumps is drawn from
a seed. So one step is one transaction or one call, as in `attempt_model`, and everything can be looked at after each.

`stage` is the scheduler, `company` who plays, `trouble` what happens to them, `watch` what must hold, `play` one world.
docs/development.md tells how to run it for longer.
"""
