"""The unit of docs/deploy under a systemd that runs: the whole sandbox at once, with a tunnel through it.

`make lab` runs it: a machine boots for it (machine.py).
"""

import re
from collections.abc import Iterator

import pytest

from tests.deploy.machine import Told, missing_for_systemd, tell

WITHIN_S = 400.0
"""About half a minute where nothing else runs."""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(missing_for_systemd() is not None, reason=str(missing_for_systemd())),
    pytest.mark.timeout(WITHIN_S + 30),
]

GATEWAY = """\
[daemon]
listen = ["127.0.11.1"]
[links]
source = "manual"
manual = ["127.0.11.1"]
[store]
file = "sas.db"
every = "200ms"
[connections.people]
role = "responder"
local_id = "gw.example.net"
remote_id = "*@example.net"
psk_file = "credential:people.psk"
local_ts = ["10.1.0.1/32"]
pool = ["10.99.0.0/24"]
on_up = ["/usr/bin/touch", "/var/lib/mobike/hook-was-here"]
"""
CLIENT = """\
[daemon]
ike_port = 15510
natt_port = 15511
listen = ["127.0.12.1"]
state_dir = "state"
[api]
tcp = ""
[dataplane]
inner = "echo"
[links]
source = "manual"
manual = ["127.0.12.1"]
[connections.home]
role = "initiator"
remote = ["127.0.11.1"]
local_id = "you@example.net"
remote_id = "gw.example.net"
psk = "correct horse battery staple"
virtual_ip = ["ipv4"]
reconnect = { initial = "500ms" }
"""
DROP_IN = """\
[Service]
LoadCredential=people.psk:/etc/credstore/people.psk
WatchdogSec=6
"""
STORY = f"""
trap 'tell journal journalctl -u mobike --no-pager -o cat' EXIT
ip link set lo up
mkdir -p -m 700 /etc/mobike /etc/credstore /client /etc/systemd/system/mobike.service.d
umask 077
echo 'correct horse battery staple' > /etc/credstore/people.psk
cat > /etc/mobike/mobike.toml <<'==='
{GATEWAY}===
cat > /client/mobike.toml <<'==='
{CLIENT}===
cat > /etc/systemd/system/mobike.service.d/story.conf <<'==='
{DROP_IN}===
umask 022
systemctl daemon-reload

tell start systemctl start mobike
[ "$(cat /out/start.ended)" = 0 ] || exit 1
tell shown systemctl show mobike -p ActiveState,StatusText,NRestarts
pid=$(systemctl show mobike -p MainPID --value)
tell held cat /proc/$pid/status
tell seen nsenter --target $pid --mount --wd=/ sh -c '
  for file in /etc/x /usr/x /root/x /home/x /var/x /tmp/x; do touch $file 2>/dev/null && echo "$file written"; done
  ls -A /root /home; ls /dev'

ip addr add 10.1.0.1/32 dev lo
mobike run --config /client > /out/client.log 2>&1 &
client=$!
there() {{ ping -c 1 -W 1 -I 10.1.0.1 10.99.0.1; }}
up() {{ MOBIKE_SOCKET=/client/state/api.sock mobike up home --wait 30; }}
tell up until_true 90 up
[ "$(cat /out/up.ended)" = 0 ] || exit 1
tell ping until_true 30 there
tell hook until_true 20 test -e /var/lib/mobike/hook-was-here

tell reload systemctl reload mobike
sed -i 's/^role/rolle/' /etc/mobike/mobike.toml
tell bad-reload systemctl reload mobike
tell after-bad-reload systemctl is-active mobike
sed -i 's/^rolle/role/' /etc/mobike/mobike.toml
tell ping-after-reload there

kill -STOP $pid
restarted() {{ [ "$(systemctl show mobike -p NRestarts --value)" = 1 ] && systemctl is-active mobike; }}
tell watchdog until_true 90 restarted
tell ping-after-watchdog until_true 60 there
tell kept mobike list ike-sas -o json

tell stop systemctl stop mobike
tell stopped systemctl show mobike -p ActiveState,Result
kill $client; wait $client

tell socket systemctl start mobike.socket
tell before-call systemctl is-active mobike
tell call until_true 60 mobike status
tell after-call systemctl is-active mobike
tell stop-both systemctl stop mobike.socket mobike
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    yield tell(STORY, tmp_path_factory.mktemp("machine"), within_s=WITHIN_S)


def test_a_unit_that_is_started_is_ready_and_says_where(story: Told) -> None:
    assert story.ended("start") == 0, story.said("journal")
    shown = set(story.said("shown").splitlines())
    assert shown == {"NRestarts=0", "ActiveState=active", "StatusText=1 connections, ports 500 and 4500"}


def test_it_holds_two_capabilities_under_a_filter_of_system_calls(story: Told) -> None:
    held = dict(re.findall(r"^(\w+):\s+(.*)$", story.said("held"), re.MULTILINE))
    # NET_BIND_SERVICE is 10, NET_ADMIN is 12.
    assert int(held["CapBnd"], 16) == int(held["CapEff"], 16) == 1 << 10 | 1 << 12
    assert (held["NoNewPrivs"], held["Seccomp"]) == ("1", "2")


def test_it_sees_no_homes_few_devices_and_writes_to_its_own_folders_alone(story: Told) -> None:
    seen = story.said("seen").splitlines()
    # /tmp is its own.
    assert [line for line in seen if line.endswith(" written")] == ["/tmp/x written"]
    assert not {".bashrc", ".profile"} & set(seen)


def test_a_tunnel_comes_up_through_the_sandbox_and_carries_pings_over_tun(story: Told) -> None:
    assert story.ended("up") == 0, (story.out / "client.log").read_text()
    assert story.ended("ping") == 0
    assert story.ended("hook") == 0


def test_a_reload_is_done_or_fails_with_its_reason_and_the_tunnel_stays(story: Told) -> None:
    assert story.ended("reload") == 0, story.said("reload")
    assert story.ended("bad-reload") != 0
    assert "did you mean role?" in story.said("journal")
    assert story.said("after-bad-reload") == "active\n"
    assert story.ended("ping-after-reload") == 0


def test_a_daemon_that_is_stuck_is_started_anew_and_its_tunnel_goes_on(story: Told) -> None:
    assert story.ended("watchdog") == 0
    assert story.ended("ping-after-watchdog") == 0
    assert '"you@example.net"' in story.said("kept")


def test_it_ends_in_good_order(story: Told) -> None:
    assert story.ended("stop") == 0
    assert set(story.said("stopped").splitlines()) == {"Result=success", "ActiveState=inactive"}


def test_who_calls_its_socket_starts_it(story: Told) -> None:
    assert story.ended("socket") == 0
    assert story.said("before-call") == "inactive\n"
    assert story.ended("call") == 0
    assert story.said("after-call") == "active\n"


def test_nothing_that_it_does_is_refused_by_the_sandbox(story: Told) -> None:
    journal = story.said("journal")
    for word in ("Operation not permitted", "Permission denied", "Read-only file system", "Traceback"):
        assert word not in journal
