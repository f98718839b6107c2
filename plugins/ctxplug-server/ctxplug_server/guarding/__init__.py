"""What stands between the network and the routes: plain ASGI layers, the outermost first.

Outermost (ids, headers, faults) > Hosts > Bodies > Authentication > Rates > Arrivals > Places
> Repeats > Around (the span of the caller).
"""

from ctxplug_server.guarding.arrivals import Arrivals
from ctxplug_server.guarding.authentication import Authentication
from ctxplug_server.guarding.bodies import Bodies
from ctxplug_server.guarding.hosts import Hosts
from ctxplug_server.guarding.outermost import CONTENT_SECURITY_POLICY, Outermost, log_failure
from ctxplug_server.guarding.places import Places
from ctxplug_server.guarding.rates import Rates
from ctxplug_server.guarding.repeats import Repeats
from ctxplug_server.guarding.surroundings import Around

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "Around",
    "Arrivals",
    "Authentication",
    "Bodies",
    "Hosts",
    "Outermost",
    "Places",
    "Rates",
    "Repeats",
    "log_failure",
]
