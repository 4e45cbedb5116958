"""What crosses the boundary: settings, orders, events, packets, and errors that name what is wrong."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from mobike import _core
from mobike.address import Endpoint, Generation, Path, SaId, Token
from mobike.commands import Command, Connect, Move, Pool, Probe, Profile, RemoveProfile, Retransmit, SetProfile
from mobike.dataplane.operations import MoveSa
from mobike.events import SaMoved
from tests.boundary.ends import GATEWAY, PHONE, end, nonzero, own_ports

SOMEWHERE = Path(Endpoint(IPv4Address("127.0.1.1"), 4500), Endpoint(IPv4Address("127.0.2.1"), 4500))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("local_id", "not an identity"),
        ("remote_id", "*.*"),
        ("psk", b""),
        ("ike_proposals", ("aes256gcm16-prfsha384-x25519", "aes256gcm16-md5-x25519")),
        ("esp_proposals", ("aes256gcm16-sha256",)),
        ("local_ts", ("10.0.0.1/8",)),
        ("local_ts", ("10.0.0.0/33",)),
        ("remote_ts", ("everything",)),
        ("pools", (Pool(IPv4Address("255.255.255.0"), 257),)),
        ("pools", (Pool(IPv4Address("10.0.0.0"), 0),)),
        ("pools", (Pool(IPv4Address("10.0.0.0"), 1), Pool(IPv4Address("10.1.0.0"), 1))),
        ("liveness", -1),
        ("return_routability", "perhaps"),
        ("trusted", ("10.0.0.1/8",)),
        ("families", (5,)),
        ("window", 0),
        ("allow_remote", ("nowhere",)),
        ("retransmit", Retransmit(jitter_percent=300)),
        ("accepts", 1),
    ],
)
def test_a_wrong_profile_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    wrong = replace(PHONE, **{field: value})  # type: ignore[arg-type]
    with end(["127.0.3.1"]) as one:
        with pytest.raises(ValueError, match=rf'^profile "home": {field}') as refused:
            one.core.submit([SetProfile(GATEWAY), SetProfile(wrong)])
        assert PHONE.psk.decode() not in str(refused.value)
        # All or none: the good one before it was not given either.
        assert one.core.counters()["io_orders"] == 1


def test_the_place_of_a_wrong_proposal_and_the_part_are_named() -> None:
    wrong = replace(PHONE, ike_proposals=("aes256gcm16-prfsha384-x25519", "aes256gcm16-md5-x25519"))
    with end(["127.0.3.1"]) as one, pytest.raises(ValueError, match=r'ike_proposals\[1\]: .*"md5"'):
        one.core.submit([SetProfile(wrong)])


def test_an_order_of_two_families_is_refused() -> None:
    two = Path(Endpoint(IPv4Address("127.0.0.1"), 4500), Endpoint(IPv6Address("::1"), 4500))
    with end(["127.0.3.1"]) as one, pytest.raises(ValueError, match="different families"):
        one.core.submit([Move(SaId(1), two, Generation(1), None)])


def test_what_is_no_order_is_a_type_error() -> None:
    with end(["127.0.3.1"]) as one, pytest.raises(TypeError, match="int is neither"):
        one.core.submit([7])  # type: ignore[list-item]


def test_numbers_that_do_not_fit_are_refused_by_name() -> None:
    with end(["127.0.3.1"]) as one, pytest.raises(ValueError, match=r"^sa: "):
        one.core.submit([Probe(SaId(1 << 64), None, Generation(1))])


def test_an_operation_is_answered_by_an_event_that_says_the_same() -> None:
    with end(["127.0.3.1"]) as one:
        one.core.submit([MoveSa(SaId(0x1234_0000_0100), SOMEWHERE, encap=True)])
        assert one.wait_for(SaMoved) == SaMoved(SaId(0x1234_0000_0100), SOMEWHERE)


def test_every_command_is_understood() -> None:
    orders: list[Command] = [
        SetProfile(PHONE),
        Connect(Token(9), "never heard of", (SOMEWHERE,), 4500),
        Move(SaId(256), SOMEWHERE, Generation(1), (IPv6Address("2001:db8::1"),)),
        RemoveProfile("home"),
    ]
    with end(["127.0.3.1"]) as one:
        before = one.core.counters()["io_orders"]
        one.core.submit(orders)
        assert one.core.counters()["io_orders"] == before + len(orders)


def test_the_pre_shared_key_is_in_no_repr() -> None:
    secret = PHONE.psk.decode()
    with end(["127.0.3.1"]) as one:
        one.core.submit([SetProfile(PHONE)])
        assert secret not in repr(one.core)
        assert secret not in repr(SetProfile(PHONE))


def test_stopping_twice_is_stopping_once() -> None:
    ike, natt = own_ports()
    core = _core.Core(listen=["127.0.3.1"], ike_port=ike, natt_port=natt)
    core.stop()
    core.stop()
    assert core.counters()["io_shards_running"] == 0
    core.submit([RemoveProfile("home")])
    assert core.take_events(10) == []


def test_a_port_that_is_taken_is_named() -> None:
    with end(["127.0.3.1"]) as one, pytest.raises(OSError, match=rf"127\.0\.3\.1:{one.ike_port}"), end(["127.0.3.1"]):
        pass


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"listen": ["localhost"]}, "listen"),
        ({"listen": []}, "no address"),
        ({"listen": ["127.0.3.1"], "shards": 0}, "shards"),
        ({"listen": ["127.0.3.1"], "shards": 17}, "shards"),
        ({"listen": ["127.0.3.1"], "inner": "pipe"}, "inner"),
        ({"listen": ["127.0.3.1"], "plane": "xfrm"}, "plane"),
        ({"listen": ["127.0.3.1"], "seed": b"short"}, "seed"),
        ({"listen": ["127.0.3.1"], "ike_port": 0}, "port 0"),
        ({"listen": ["127.0.3.1"], "shards": 2, "pin_cpus": [0]}, "processors"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        _core.Core(**settings)  # type: ignore[arg-type]


def test_packets_without_a_tunnel_are_dropped_and_counted() -> None:
    with end(["127.0.3.1"]) as one:
        assert one.core.inner_send([b"\x45" + bytes(30), b"nonsense"]) == 2
        while nonzero(one.core).get("esp_malformed_out", 0) < 2:
            pass
        assert one.core.inner_take(10) == []


def test_the_inner_queue_is_bounded() -> None:
    with end(["127.0.3.1"]) as one:
        one.core.stop()
        packets = [bytes(1000)] * 20_000
        taken = one.core.inner_send(packets)
        assert taken < len(packets)
        assert one.core.counters()["io_inner_full"] == len(packets) - taken


@pytest.mark.parametrize("profile", [PHONE, GATEWAY])
def test_the_checks_agree_with_what_submit_takes(profile: Profile) -> None:
    assert [_core.check_ike_proposal(text) for text in profile.ike_proposals] == list(profile.ike_proposals)
    assert [_core.check_esp_proposal(text) for text in profile.esp_proposals] == list(profile.esp_proposals)
    assert _core.check_identity(profile.local_id) == profile.local_id
    assert _core.check_identity_pattern(profile.remote_id) == profile.remote_id
    with pytest.raises(ValueError, match="nearest"):
        _core.check_esp_proposal("aes512")
    assert _core.check_ike_proposal("aes256-sha256-modp2048") == "aes256-sha256-prfsha256-modp2048"
    with pytest.raises(ValueError, match="x25519-ke1_mlkem768"):
        _core.check_ike_proposal("aes256gcm16-prfsha384-mlkem768")
    with pytest.raises(ValueError, match="integrity algorithm; add for example"):
        _core.check_esp_proposal("aes256")
    with pytest.raises(ValueError, match="address, host name"):
        _core.check_identity("*.example.net")
