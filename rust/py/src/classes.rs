//! The Python classes this module speaks in: each is looked up once per process.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident from $module:literal { $($field:ident: $class:literal,)+ })+) => {$(
        $(#[$doc])*
        pub(crate) struct $name {
            $(pub(crate) $field: Py<PyType>,)+
        }

        impl $name {
            pub(crate) fn get(py: Python<'_>) -> PyResult<&'static $name> {
                static CLASSES: PyOnceLock<$name> = PyOnceLock::new();
                CLASSES.get_or_try_init(py, || {
                    let module = py.import($module)?;
                    Ok($name { $($field: module.getattr($class)?.cast_into::<PyType>()?.unbind(),)+ })
                })
            }
        }
    )+};
}

classes! {
    /// `mobike.commands`.
    Commands from "mobike.commands" {
        set_profile: "SetProfile",
        remove_profile: "RemoveProfile",
        remember: "Remember",
        set_local_addresses: "SetLocalAddresses",
        connect: "Connect",
        give_up: "GiveUp",
        move_: "Move",
        announce: "Announce",
        probe: "Probe",
        watch: "Watch",
        allow: "Allow",
        deny: "Deny",
        eap_send: "EapSend",
        eap_done: "EapDone",
        eap_fail: "EapFail",
        away: "Away",
        close: "Close",
        open_child: "OpenChild",
        close_child: "CloseChild",
        rekey: "Rekey",
        reauth: "Reauth",
        redirect: "Redirect",
        turn_away: "TurnAway",
        set_ticket_keys: "SetTicketKeys",
        rekey_child: "RekeyChild",
    }
    /// What a data plane outside of the core says, of `mobike.commands`.
    Words from "mobike.commands" {
        installed: "ChildInstalled",
        refused: "ChildRefused",
        removed: "ChildRemoved",
        worn: "ChildWorn",
        spent: "ChildSpent",
        traffic: "Traffic",
        mapped: "PeerMapped",
    }
    /// `mobike.dataplane.operations`.
    Operations from "mobike.dataplane.operations" {
        move_sa: "MoveSa",
        park: "Park",
        install_child: "InstallChild",
        remove_child: "RemoveChild",
        sends: "Sends",
        volumes: "Volumes",
    }
    /// `mobike.events`.
    Events from "mobike.events" {
        ike_sa_up: "IkeSaUp",
        ike_sa_resumed: "IkeSaResumed",
        ike_sa_down: "IkeSaDown",
        ike_sa_rekeyed: "IkeSaRekeyed",
        redirected: "Redirected",
        connect_failed: "ConnectFailed",
        child_up: "ChildUp",
        child_down: "ChildDown",
        child_failed: "ChildFailed",
        moved: "Moved",
        move_refused: "MoveRefused",
        path_silent: "PathSilent",
        path_checked: "PathChecked",
        pair_seen: "PairSeen",
        path_heard: "PathHeard",
        peer_moved: "PeerMoved",
        peer_addresses: "PeerAddresses",
        nat_changed: "NatChanged",
        authorise: "Authorise",
        eap_asked: "EapAsked",
        went_away: "WentAway",
        away_refused: "AwayRefused",
        peer_away: "PeerAway",
        notice: "Notice",
        comparison: "Comparison",
        row: "Row",
        traffic_waits: "TrafficWaits",
        sa_moved: "SaMoved",
        plane_refused: "PlaneRefused",
    }
    /// `mobike.tape`.
    Tapes from "mobike.tape" {
        frame: "Frame",
        taped: "Taped",
    }
    /// `mobike.exchange`.
    Exchanges from "mobike.exchange" {
        exchange: "Exchange",
    }
    /// `mobike.handout`.
    Handouts from "mobike.handout" {
        handout: "Handout",
    }
    /// `mobike.address`.
    Addresses from "mobike.address" {
        endpoint: "Endpoint",
        path: "Path",
        transport: "Transport",
    }
}

/// Members of the enums of `mobike.events`.
pub(crate) struct Members {
    pub(crate) initiator: Py<PyAny>,
    pub(crate) responder: Py<PyAny>,
    pub(crate) nat_none: Py<PyAny>,
    pub(crate) nat_we: Py<PyAny>,
    pub(crate) nat_peer: Py<PyAny>,
    pub(crate) nat_both: Py<PyAny>,
}

impl Members {
    pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Members> {
        static MEMBERS: PyOnceLock<Members> = PyOnceLock::new();
        MEMBERS.get_or_try_init(py, || {
            let events = py.import("mobike.events")?;
            let (role, nat) = (events.getattr("Role")?, events.getattr("Nat")?);
            Ok(Members {
                initiator: role.getattr("INITIATOR")?.unbind(),
                responder: role.getattr("RESPONDER")?.unbind(),
                nat_none: nat.getattr("NONE")?.unbind(),
                nat_we: nat.getattr("WE_ARE_BEHIND")?.unbind(),
                nat_peer: nat.getattr("PEER_IS_BEHIND")?.unbind(),
                nat_both: nat.getattr("BOTH_ARE_BEHIND")?.unbind(),
            })
        })
    }
}
