"""A client's connection with what it must have; a test adds keys to it."""

KEY = "correct horse battery staple"


def office(secret: str) -> str:
    """With a secret from there."""
    return f"""\
[connections.office]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
{secret}
virtual_ip = ["ipv4"]
"""


OFFICE = office(f'psk = "{KEY}"')
