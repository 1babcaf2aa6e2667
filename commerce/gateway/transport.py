"""How requests to Stripe travel: nowhere else than where they were sent."""

from __future__ import annotations

from typing import Any

import stripe


class StraightClient(stripe.RequestsClient):
    """The package's own transport, which follows redirects otherwise: whoever stands in between could have a customer's
    address sent somewhere else, or turn the creation of a session into a look at a list. Stripe's API redirects
    nothing, so a redirect is a failure like any other without an answer of Stripe's.
    """

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if getattr(self._thread_local, "session", None) is None:
            # One per thread, as the package does it: they aren't safe to share.
            session = self.requests.Session()
            session.max_redirects = 0
            # What the environment says of proxies is read here once, not at each request; a .netrc in some home folder
            # has no say in whose key is sent.
            session.proxies = self.requests.utils.get_environ_proxies(url)
            session.trust_env = False
            self._thread_local.session = session
        return super().request(method, url, *args, **kwargs)
