"""What a caller must be allowed for every operation of the API: who adds one says here what it is."""

from typing import Final

OPEN: Final = frozenset({"livez", "readyz"})
"""Who needs no token."""

NEEDED: Final = {
    "metrics": ("show_caller", "show_counters", "show_health", "show_metrics"),
    "read": (
        "compare_revisions", "explain_ike_sa", "follow_events", "list_addresses", "list_attempts", "list_certificates",
        "list_child_sas",
        "list_connections", "list_credentials", "list_events", "list_exchanges", "list_ike_sas", "list_leases",
        "list_log_levels", "list_operations", "list_paths", "list_policies", "list_pools", "list_revisions",
        "show_config", "show_connection", "show_credential", "show_ike_sa", "show_operation",
    ),
    "operate": (
        "avoid_link", "bring_up", "cancel_operation", "close_child", "close_ike_sa", "come_back", "drain",
        "end_log_level", "go_away", "move_ike_sa", "open_child", "pin_ike_sa", "probe_ike_sa",
        "reauthenticate_ike_sa", "redirect_ike_sa", "rekey_ike_sa", "serve", "set_address", "set_log_level",
        "start_operation", "take_down", "unpin_ike_sa",
    ),
    "configure": (
        "apply_config", "confirm_config", "delete_connection", "delete_credential", "patch_connection",
        "plan_config", "put_connection",
        "put_credential", "rollback_config",
    ),
    "admin": (
        "end_capture", "fetch_keys", "fetch_packets", "list_deeds", "list_tokens", "make_token", "revoke_token",
        "show_capture", "start_capture",
    ),
}  # fmt: skip
"""The least scope, and the operations that it is enough for."""
