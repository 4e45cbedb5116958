"""The two configuration files of the demo, and free ports for them. What is written here is a whole working set-up."""

import socket
from dataclasses import dataclass
from pathlib import Path

from mobike.cli.demo.story import GATEWAY, GATEWAY_INNER, NETWORKS, POOL, WIFI

GATEWAY_TOML = """\
# The demo's gateway: one address, a pool of inner addresses, and a host behind it that answers pings.
[daemon]
listen = ["{gateway}"]
ike_port = {gateway_ike}
natt_port = {gateway_natt}
state_dir = "{state}"
log_level = "info"
log_format = "json"

[api]
socket = "{state}/gateway.sock"
tcp = "127.0.0.1:{api_port}"
token_file = "{state}/gateway.token"

[dataplane]
kind = "userspace"
inner = "echo"

[links]
source = "manual"
manual = [{{ ip = "{gateway}", link = "site" }}]

[connections.roadwarriors]
role = "responder"
local_id = "gateway.demo.example"
remote_id = "*@demo.example"
psk_file = "{state}/psk"
local_ts = ["{gateway_inner}/32"]
pool = ["{pool}"]
"""

CLIENT_TOML = """\
# The demo's client: three networks, of which it prefers the one with the lowest rank.
[daemon]
listen = ["0.0.0.0"]
ike_port = {client_ike}
natt_port = {client_natt}
state_dir = "{state}"
log_level = "info"
log_format = "json"

[api]
socket = "{state}/client.sock"
tcp = "127.0.0.1:{client_api_port}"
token_file = "{state}/client.token"

[dataplane]
kind = "userspace"
inner = "port"

[links]
source = "manual"
manual = [
{networks}
]
{rules}

[connections.home]
role = "initiator"
remote = ["{gateway}"]
remote_ike_port = {gateway_ike}
remote_natt_port = {gateway_natt}
local_id = "you@demo.example"
remote_id = "gateway.demo.example"
psk_file = "{state}/psk"
remote_ts = ["{gateway_inner}/32"]
virtual_ip = ["ipv4"]
start = "auto"
liveness = "5s"
"""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the demo's two daemons find everything."""

    gateway: Path
    client: Path
    gateway_socket: Path
    client_socket: Path
    token: Path
    api_port: int
    client_api_port: int


def write(state: Path, psk: str) -> Files:
    """Write both files, and the secret between them, into `state`."""
    gateway_ike, gateway_natt, client_ike, client_natt = free_ports(4, socket.SOCK_DGRAM)
    api_port, client_api_port = free_ports(2, socket.SOCK_STREAM)
    secret = state / "psk"
    secret.touch(mode=0o600)
    secret.write_text(psk)
    values = {
        "state": state, "gateway": GATEWAY, "gateway_inner": GATEWAY_INNER, "pool": POOL, "api_port": api_port,
        "client_api_port": client_api_port,
        "gateway_ike": gateway_ike, "gateway_natt": gateway_natt, "client_ike": client_ike, "client_natt": client_natt,
        "networks": "\n".join(
            f'    {{ ip = "{network.address}", link = "{network.name}", up = {str(network is WIFI).lower()} }},'
            for network in NETWORKS
        ),
        "rules": "\n".join(f'[[links.rule]]\nmatch = "{network.name}"\nrank = {network.rank}' for network in NETWORKS),
    }  # fmt: skip
    files = Files(
        state / "gateway.toml", state / "client.toml", state / "gateway.sock", state / "client.sock",
        state / "gateway.token", api_port, client_api_port,
    )  # fmt: skip
    files.gateway.write_text(GATEWAY_TOML.format(**values))
    files.client.write_text(CLIENT_TOML.format(**values))
    return files


def free_ports(count: int, kind: socket.SocketKind) -> list[int]:
    """Ports that nobody uses now. All are held until the last is found, so that they differ."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("0.0.0.0", 0))  # noqa: S104 - a port that is free on every address
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
