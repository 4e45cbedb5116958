"""A client's connection with what it must have; a test adds keys to it."""

OFFICE = """\
[connections.office]
role = "initiator"
remote = ["203.0.113.1"]
local_id = "alice@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
virtual_ip = ["ipv4"]
"""
