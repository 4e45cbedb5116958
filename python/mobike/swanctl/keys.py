"""Keys of swanctl.conf without a handler: values that mean nothing here, and why any other one is unsupported."""

from typing import Final

_NO: Final = frozenset({"", "no", "0", "false", "off"})
_YES: Final = frozenset({"", "yes", "1", "true", "on"})
_ZERO: Final = frozenset({"", "0", "0s", "0/0x00000000", "0x00000000"})
_NONE: Final = frozenset({"", "none"})
_ANYTHING_V1: Final = frozenset({"", "no", "yes", "0", "0s", "0m", "30s", "1m", "60s", "90s", "120s", "150s", "180s"})
_KERNEL: Final = "marks and interface ids are not taken over: write if_id, mark and output_mark yourself"
_HEADER: Final = "the outer header is not touched this way"

Keys = dict[str, tuple[frozenset[str], str]]

CONNECTION: Final[Keys] = {
    "aggressive": (_NO, "is of IKEv1, which is not spoken here"),
    "pull": (_YES, "is of IKEv1, which is not spoken here"),
    "dpd_timeout": (_ANYTHING_V1, "is of IKEv1; IKEv2 gives up as `retransmit` says"),
    "dscp": (frozenset({"", "000000"}), "IKE packets are not marked"),
    "encap": (_YES | _NO, "ESP is always in UDP here"),
    "fragmentation": (_YES | {"accept"}, "messages are sent in fragments (RFC 7383) to every peer that knows how"),
    "send_certreq": (_YES, "authorities are always named"),
    "send_cert": (frozenset({"", "ifasked", "always"}), "certificates are always sent"),
    "if_id_in": (_ZERO, _KERNEL),
    "if_id_out": (_ZERO, _KERNEL),
    "mediation": (_NO, "there is no mediation"),
    "mediated_by": (frozenset({""}), "there is no mediation"),
    "mediation_peer": (frozenset({""}), "there is no mediation"),
}

LOCAL: Final[Keys] = {
    "round": (_ZERO | {"1"}, "there is one round of authentication"),
    "aaa_id": (frozenset({""}), "the server of EAP is the gateway itself, by remote_id"),
    "xauth_id": (frozenset({""}), "is of IKEv1, which is not spoken here"),
    "pubkeys": (frozenset({""}), "we sign with the key of a certificate"),
}

REMOTE: Final[Keys] = {
    "round": (_ZERO | {"1"}, "there is one round of authentication"),
    "groups": (frozenset({""}), "is judged by an authoriser of yours: authorise"),
    "cert_policy": (frozenset({""}), "policies of certificates are not asked for"),
    "ca_id": (frozenset({""}), "an authority is named by its certificate: remote_ca"),
    "certs": (frozenset({""}), "a peer is known by its authority, or by its public key: remote_keys"),
}
RESTRICTIONS: Final = ("groups", "cert_policy", "ca_id", "certs")
"""Keys of REMOTE that say who may not in."""

CHILD: Final[Keys] = {
    "ah_proposals": (frozenset({""}), "there is no AH"),
    "sha256_96": (_NO, "HMAC-SHA-256 has 128 bits (RFC 4868)"),
    "mode": (frozenset({"", "tunnel"}), "is neither tunnel nor transport"),
    "policies": (_YES, "what goes through the tunnel is what its selectors say"),
    "policies_fwd_out": (_NO | _YES, "there are no policies of the kernel"),
    "hostaccess": (_NO | _YES, "is a variable for updown scripts"),
    "updown": (frozenset({""}), "scripts get other variables here: see on_up and on_down in docs/hooks.md"),
    "ipcomp": (_NO, "nothing is compressed"),
    "inactivity": (_ZERO, "an idle Child SA stays"),
    "reqid": (_ZERO, "there are no reqids"),
    "priority": (_ZERO, "there are no policies of the kernel"),
    "interface": (frozenset({""}), "there are no policies of the kernel"),
    "mark_in": (_ZERO, _KERNEL),
    "mark_in_sa": (_NO, _KERNEL),
    "mark_out": (_ZERO, _KERNEL),
    "set_mark_in": (_ZERO, _KERNEL),
    "set_mark_out": (_ZERO, _KERNEL),
    "if_id_in": (_ZERO, _KERNEL),
    "if_id_out": (_ZERO, _KERNEL),
    "label": (frozenset({""}), "there are no security labels"),
    "label_mode": (frozenset({"", "system"}), "there are no security labels"),
    "tfc_padding": (_ZERO, "packets are not padded"),
    "replay_window": (frozenset({"", "32", "64", "128"}), "the window has a size of its own"),
    "hw_offload": (_NO | {"auto"}, "nothing is offloaded"),
    "copy_df": (_YES, _HEADER),
    "copy_ecn": (_YES, _HEADER),
    "copy_dscp": (frozenset({"", "out"}), _HEADER),
    "close_action": (_NONE | {"trap", "start"}, "is one of none, trap, start"),
}

AUTHORITY: Final[Keys] = {
    "handle": (frozenset({""}), "there are no tokens here"),
    "slot": (frozenset({""}), "there are no tokens here"),
    "module": (frozenset({""}), "there are no tokens here"),
    "crl_uris": (frozenset({""}), "nothing is fetched: give the lists as files, remote_crl"),
    "ocsp_uris": (frozenset({""}), "nothing is fetched: responses come with the peer's certificate, remote_ocsp"),
    "cert_uri_base": (frozenset({""}), "certificates are sent as they are"),
}
