"""The management API of mobike: FastAPI over `mobike.facade`, and nothing else of mobike.

    app         the application: routes, problems, middleware, OpenAPI
    document    what is committed as docs/openapi.json
    auth        who calls: the right user on the Unix socket, the holder of a token or of a certificate on TCP
    caller      who that is, carried along
    scopes      what a caller must be allowed, said at each route
    limits      how often somebody may call
    recorder    every change goes into the record
    guard       what every request passes: security headers, a limit for bodies
    operations/ one order about many, at a pace, followed to its end
    repeats     a change that is sent twice is made once
    metrics     numbers for Prometheus
    lists       filters, parts, pages and streams of IKE SAs
    conditional ETag: what has not changed is not sent again
    problems    every error is an RFC 9457 problem
    schemas     what is sent and received
    described   its members, described by the docstrings below them
    routes/     the endpoints
    sse         the stream of events
    server      uvicorn in the daemon's own loop, on a Unix socket and on loopback
    tls         TLS on TCP, and what a client's certificate says of it
    webhooks    events told to others, signed
    token       the token that TCP asks for

The facade is called in the loop and returns at once; there is no thread and no lock here.
"""

from mobike_api.app import create_app
from mobike_api.server import ApiServer, ApiStartError
from mobike_api.tls import Tls
from mobike_api.webhooks import Webhook

__all__ = ["ApiServer", "ApiStartError", "Tls", "Webhook", "create_app"]
