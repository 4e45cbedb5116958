"""Short words for addresses in the stories of policy, mobility and fleet."""

from ipaddress import ip_address

from mobike.address import Ip, Pair
from mobike.policy.links import Candidate

WIFI = ip_address("192.0.2.7")
CELLULAR = ip_address("198.51.100.2")
OFFICE = ip_address("203.0.113.1")
OFFICE_B = ip_address("203.0.113.2")
WIFI6 = ip_address("2001:db8:1::7")
OFFICE6 = ip_address("2001:db8:9::1")
LOOPBACK = ip_address("127.0.1.1")
FAR_LOOPBACK = ip_address("127.0.2.1")


def wifi(rank: int = 1, **kwargs: bool | int) -> Candidate:
    return candidate(WIFI, "wlan0", rank, **kwargs)


def cellular(rank: int = 2, **kwargs: bool | int) -> Candidate:
    return candidate(CELLULAR, "wwan0", rank, **kwargs)


def candidate(ip: Ip, link: str, rank: int, **kwargs: bool | int) -> Candidate:
    return Candidate(ip, link, rank, **kwargs)  # type: ignore[arg-type]


ON_WIFI = Pair(WIFI, OFFICE)
ON_CELLULAR = Pair(CELLULAR, OFFICE)
