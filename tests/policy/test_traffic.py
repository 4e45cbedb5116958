"""Which selectors a packet fits, and how narrowly."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mobike.policy.traffic import Flow, how_narrow
from mobike.selector import Traffic

US, SERVER = ip_address("192.0.2.7"), ip_address("10.1.9.4")
ANY = ("0.0.0.0/0",)
SIP = Flow(US, SERVER, 17, 40_000, 5060)


def test_a_packet_fits_by_both_ends() -> None:
    assert how_narrow([Traffic(ANY, ("10.1.0.0/16",))], SIP) == 16
    assert how_narrow([Traffic(("192.0.2.0/24",), ("10.1.0.0/16",))], SIP) == 40
    assert how_narrow([Traffic(("198.51.100.0/24",), ("10.1.0.0/16",))], SIP) is None
    assert how_narrow([Traffic(ANY, ("10.2.0.0/16", "2001:db8::/32"))], SIP) is None
    assert how_narrow([], SIP) is None


def test_the_narrowest_of_several_counts() -> None:
    assert how_narrow([Traffic(ANY, ANY), Traffic(ANY, ("10.0.0.0/8", "10.1.9.4-10.1.9.5"))], SIP) == 31


def test_protocols_and_ports_are_looked_at() -> None:
    assert how_narrow([Traffic(ANY, ("10.1.0.0/16[udp/5060-5061]",))], SIP) == 16
    assert how_narrow([Traffic(ANY, ("10.1.0.0/16[udp/5061]",))], SIP) is None
    assert how_narrow([Traffic(ANY, ("10.1.0.0/16[tcp]",))], SIP) is None
    assert how_narrow([Traffic(("0.0.0.0/0[17]",), ("10.1.0.0/16",))], SIP) == 16
    hidden = Flow(US, SERVER, 17)
    assert how_narrow([Traffic(ANY, ("10.1.0.0/16[udp/5060]",))], hidden) is None, "a later fragment shows no ports"


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_more_selectors_never_make_it_fit_less(source: object, destination: object, bits: int) -> None:
    flow = Flow(ip_address(str(source)), ip_address(str(destination)))
    wide = [Traffic(ANY, ANY)]
    narrow = Traffic(ANY, (f"{flow.destination}/32",) if bits > 16 else ("10.0.0.0/8",))
    found = how_narrow([*wide, narrow], flow)
    assert found is not None
    assert found >= 0
    assert (found == 32) == (bits > 16)
