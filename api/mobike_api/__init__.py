"""The management API of mobike: FastAPI over `mobike.facade`, and nothing else of mobike.

    app         the application: routes, problems, middleware, OpenAPI
    document    what is committed as docs/openapi.json
    auth        who may call: the right user on the Unix socket, the right token on TCP
    guard       what every request passes: security headers, a limit for bodies
    problems    every error is an RFC 9457 problem
    schemas     what is sent and received
    routes/     the endpoints
    sse         the stream of events
    server      uvicorn in the daemon's own loop, on a Unix socket and on loopback
    token       the token that TCP asks for

The facade is called in the loop and returns at once; there is no thread and no lock here.
"""

from mobike_api.app import create_app
from mobike_api.server import ApiServer, ApiStartError

__all__ = ["ApiServer", "ApiStartError", "create_app"]
