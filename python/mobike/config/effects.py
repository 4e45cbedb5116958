"""What a changed key means for SAs that live. A test holds this table to the models: every key is in it.

The measure: an SA that lives goes on as it is, unless that would be against what the file now says of who may be in,
how it is proved and protected, or which traffic is carried.
"""

from enum import IntEnum
from typing import Final

from mobike.config import models
from mobike.config.models import Table


class Effect(IntEnum):
    """From the least to the most."""

    NOTHING = 0
    """It is obeyed at once; SAs stay as they are. Their paths may change, as with any other decision of policy."""
    NEXT = 1
    """SAs that live keep what they have; the next one has it."""
    CHILD = 2
    """Child SAs are rekeyed."""
    IKE = 3
    """Another IKE SA is wanted, which its initiator makes: of a responder it is closed."""
    RESTART = 4
    """The daemon reads it at its start only; with [store] its SAs live on."""

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS: Final = {
    Effect.NOTHING: "nothing: obeyed at once",
    Effect.NEXT: "from the next SA on",
    Effect.CHILD: "Child SAs rekeyed",
    Effect.IKE: "another IKE SA: reauthenticated, or closed by its responder",
    Effect.RESTART: "restart of the daemon",
}


def _all(effect: Effect, keys: str) -> dict[str, Effect]:
    return dict.fromkeys(keys.split(), effect)


EFFECTS: Final[dict[type[Table], dict[str, Effect]]] = {
    models.DaemonTable: {
        **_all(Effect.RESTART, "listen ike_port natt_port shards state_dir config_key_file config_key_env"),
        **_all(Effect.NOTHING, "log_level log_format"),
    },
    models.ApiTable: {
        **_all(Effect.RESTART, "socket tcp token_file tls_certificate tls_key client_ca clients webhooks"),
        **_all(Effect.NOTHING, "folders"),
    },
    models.WebhookTable: _all(Effect.RESTART, "url secret secret_file secret_env events"),
    models.DataplaneTable: _all(Effect.RESTART, "kind inner tun mtu if_id always_encap moves"),
    models.LinksTable: {**_all(Effect.RESTART, "source source_routing manual"), **_all(Effect.NOTHING, "rule")},
    models.LinkRuleTable: _all(Effect.NOTHING, "match rank cost allow"),
    models.ManualTable: _all(Effect.RESTART, "ip link up"),
    models.LimitsTable: _all(Effect.RESTART, "cookie_threshold max_half_open max_ike_sas prefix puzzle hardest_solved"),
    models.PrefixTable: _all(
        Effect.RESTART,
        "v4 v6 network_v4 network_v6 cookie_threshold max network_times forgiven_per_second failure_costs tracked",
    ),
    models.PuzzleTable: _all(Effect.RESTART, "threshold easiest hardest unsolved_per_second auth_threshold"),
    models.RedirectTable: _all(Effect.NEXT, "when to at"),
    models.TicketsTable: _all(Effect.NEXT, "key_file"),
    models.StoreTable: _all(Effect.RESTART, "file key_file key_env every max_age"),
    models.PoolTable: _all(Effect.NEXT, "ranges sticky"),
    models.RetransmitTable: _all(
        Effect.NOTHING, "initial factor_percent max_interval jitter_percent give_up_initiator give_up_responder"
    ),
    models.ReconnectTable: _all(Effect.NOTHING, "initial max"),
    models.SearchTable: _all(Effect.NOTHING, "first factor_percent most jitter_percent budget"),
    models.RetestTable: _all(Effect.NOTHING, "wanted others translated"),
    models.ChildTable: {
        **_all(Effect.IKE, "name local_ts remote_ts mode"),
        **_all(Effect.CHILD, "esp"),
        **_all(Effect.NEXT, "start"),
    },
    models.RadiusTable: _all(Effect.NEXT, "server port accounting_port secret secret_file secret_env"),
    models.ConnectionTable: {
        **_all(Effect.IKE, "role local_id remote_id local_auth remote_auth"),
        **_all(Effect.IKE, "remote_ca remote_crl remote_ocsp remote_keys remote_rsa_sha1"),
        **_all(Effect.IKE, "eap eap_identity eap_password eap_password_file eap_password_env eap_users"),
        **_all(Effect.IKE, "psk psk_file psk_env ppk_id ppk ppk_file ppk_env ppk_required"),
        **_all(Effect.IKE, "ike virtual_ip mobike mode nat_traversal authorise"),
        # What a Child SA may carry was agreed upon, and a rekey does not change it (RFC 7296 section 2.9.2).
        **_all(Effect.IKE, "local_ts remote_ts child"),
        **_all(Effect.CHILD, "esp if_id mark output_mark"),
        **_all(Effect.NEXT, "remote_ike_port remote_natt_port local_cert local_key local_ocsp radius authorise_within"),
        **_all(Effect.NEXT, "pool pool_from dns networks dns_domains dns_anchors ask dns_anchors_for"),
        **_all(Effect.NEXT, "initial_contact unique window extensions redirect follow_redirects redirect_names"),
        **_all(Effect.NEXT, "message_id_sync childless start_child tickets resume"),
        **_all(Effect.NEXT, "ike_lifetime esp_lifetime ike_lifetime_hard esp_lifetime_hard reauth_lifetime"),
        **_all(Effect.NEXT, "esp_lifetime_bytes esp_lifetime_packets"),
        **_all(Effect.NEXT, "esp_lifetime_bytes_hard esp_lifetime_packets_hard"),
        **_all(Effect.NOTHING, "remote addresses link families allow_local allow_remote transport"),
        **_all(Effect.NOTHING, "switch on_refusal settle policy probe_interval search retest"),
        **_all(Effect.NOTHING, "liveness detection_floor nat_keepalive retransmit reconnect start"),
        **_all(Effect.NOTHING, "return_routability trusted away_at_most most_children while_down"),
        **_all(Effect.NOTHING, "on_up on_down on_move on_away hook_timeout"),
    },
}
