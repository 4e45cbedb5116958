"""strongSwan as the responder of the fleet benchmark, tuned as its documentation advises for very many SAs.

It listens on loopback in the namespace we are in, so a load generator needs no rig; root is needed for its TUN.

charon takes a datagram for IKE without the non-ESP marker only if one of its ports is 500. On the ports used here the
initiator therefore sends the marker from its first IKE_SA_INIT on, to PORT_NAT_T, as RFC 7296 section 2.23 lets it.

To be fair when reading its numbers: kernel-libipsec keeps SAs, policies and routes in lists that each new child walks,
so its time per setup grows with the number of SAs. `pool=None`, where its clients share one inner address and so one
route, costs it less; of ours each client has an address of its own in both cases, since our plane lets few share one.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from benches.fleet.work import ESP, IDENTITY, PASSWORD, PSK, USER, Work
from tests.interop.rig.charon import CRYPTO, X509, Charon
from tests.interop.rig.network import Namespace
from tests.interop.rig.program import run
from tests.interop.rig.settings import Settings

PORT = 25500
"""charon's first UDP port, in the place of 500. Nothing is sent there; see above."""

PORT_NAT_T = 25501
"""charon's second UDP port, in the place of 4500: IKE with the marker, and ESP."""

POOL = "10.128.0.0/9"

EAP = ("eap-identity", "eap-mschapv2")
IO = ("kernel-libipsec", "kernel-netlink", "socket-default", "vici")

TABLE_SIZE = 65536
"""Buckets of the table of IKE SAs; about the number of SAs, so that a bucket holds one or two."""

TABLE_SEGMENTS = 256
"""Locks of that table; at least as many as threads that could meet there."""

TABLE = 25500
"""Routing table of the daemon, and the priority of the rule that names it."""

NO_SUCH_MARK = "0x6d626b"
"""Firewall mark of that rule."""

THREADS = 32
"""Workers. Sockets, timers and the TUN hold some of them for good: with 4 the daemon no longer answers."""

STOP_GRACE = 10.0
"""Seconds to delete all SAs on the way out; after that the process is ended."""

_CLOCK_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class StrongswanResponder:
    """A charon to be measured. Any identity is let in with the one key; SAs of one identity may be many."""

    def __init__(
        self,
        directory: Path,
        work: Work,
        papers: Path,
        *,
        core: int | None = None,
        port: int = PORT,
        port_nat_t: int = PORT_NAT_T,
        pool: str | None = POOL,
        threads: int = THREADS,
        namespace: Namespace | None = None,
    ) -> None:
        """`work` needs the files of `papers`. `core` pins the daemon; without a `pool` the peer's selector is its outer
        address."""
        self._directory = directory
        if work.auth != "psk":
            self._put(papers)
        self._inside = () if namespace is None else ("ip", "netns", "exec", namespace)
        self._charon = Charon(
            namespace,
            directory,
            _connections(work, pool),
            secrets={"ike-any": {"secret": PSK}, "eap-bench": {"id": USER, "secret": PASSWORD}},
            plugins=(*CRYPTO, *(() if work.auth == "psk" else (*X509, *EAP)), *IO),
            settings=_tuning(port, port_nat_t, threads),
            wrapper=() if core is None else ("taskset", "-c", str(core)),
            stop_grace=STOP_GRACE,
        )

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return self._charon.program.pid

    def _put(self, papers: Path) -> None:
        """Files where swanctl looks for them."""
        for folder, name in (("x509ca", "ca.pem"), ("x509", "gateway.pem"), ("private", "gateway.key")):
            (self._directory / folder).mkdir(parents=True, exist_ok=True)
            (self._directory / folder / name).write_bytes((papers / name).read_bytes())

    def start(self) -> None:
        """Start it; on return it takes IKE at PORT_NAT_T."""
        self._charon.start()
        try:
            self._charon.load_all()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; one that had to be killed left its rules behind."""
        self._charon.stop()
        for family in ("-4", "-6"):
            run([*self._inside, "ip", family, "rule", "del", "priority", str(TABLE)], check=False)

    def rss_bytes(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def cpu_seconds(self) -> float:
        """User and system time of all its threads since the start; the kernel counts in ticks of 10 ms."""
        # The name in parentheses may hold anything; what follows it is numbers, the 12th and 13th being the times.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICK

    def sa_count(self) -> int:
        """Established IKE SAs: all but those half open."""
        counts = self._charon.stats()["ikesas"]
        assert isinstance(counts, dict)
        return int(str(counts["total"])) - int(str(counts["half-open"]))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _connections(work: Work, pool: str | None) -> Settings:
    by_psk: Settings = {"auth": "psk", "id": IDENTITY}
    by_certificate: Settings = {"auth": "pubkey", "id": IDENTITY, "certs": "gateway.pem"}
    remote: dict[str, Settings] = {
        "psk": {"auth": "psk"},
        "cert": {"auth": "pubkey"},
        "eap": {"auth": "eap-mschapv2", "eap_id": "%any"},
    }
    connection: Settings = {
        "version": "2",
        "mobike": "yes",
        "proposals": work.ike,
        "send_cert": "always",
        "unique": "never",
        "dpd_delay": "0s",
        "rekey_time": "0s",
        "reauth_time": "0s",
        **({} if pool is None else {"pools": "vips"}),
        "local": by_psk if work.auth == "psk" else by_certificate,
        "remote": remote[work.auth],
        "children": {
            "net": {
                "local_ts": "0.0.0.0/0",
                "remote_ts": "dynamic",
                "esp_proposals": ESP,
                "rekey_time": "0s",
            }
        },
    }
    return {"connections": {"bench": connection}, **({} if pool is None else {"pools": {"vips": {"addrs": pool}}})}


def _tuning(port: int, port_nat_t: int, threads: int) -> Settings:
    return {
        "charon": {
            "port": str(port),
            "port_nat_t": str(port_nat_t),
            "threads": str(threads),
            "ikesa_table_size": str(TABLE_SIZE),
            "ikesa_table_segments": str(TABLE_SEGMENTS),
            # One address opens all SAs at once here, which is what these limits are made to prevent.
            "dos_protection": "no",
            "cookie_threshold": "0",
            "block_threshold": "0",
            "init_limit_half_open": "0",
            "init_limit_job_load": "0",
            # kernel-libipsec adds a route for each child, whatever `install_routes` says. They go to a table of their
            # own, whose rule asks for a mark that nobody sets: the machine's own traffic never sees them.
            "install_routes": "no",
            "routing_table": str(TABLE),
            "routing_table_prio": str(TABLE),
            "install_virtual_ip": "no",
            "keep_alive": "0",
            "filelog": {"stderr": {"default": "-1", "ike": "-1", "net": "-1", "enc": "-1"}},
            "plugins": {
                "kernel-netlink": {"roam_events": "no", "fwmark": NO_SUCH_MARK},
                "kernel-libipsec": {"allow_peer_ts": "yes"},
            },
        },
    }
