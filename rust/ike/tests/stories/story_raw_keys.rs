//! Peers that know each other by their public keys and by nothing else: the key itself is carried in CERT (RFC 7670).
#![allow(clippy::expect_used, reason = "a story that cannot go on fails")]

use crate::stage;

use std::sync::Arc;

use mobike_ike::crypto::KeyKind;
use mobike_ike::engine::Population;
use mobike_ike::event::ConnectError;
use mobike_ike::{Credential, LocalProof, RemoteProof};
use stage::keys::{KINDS, Key};
use stage::{CLIENT, GATEWAY, HostId, Pair, Profile, secs};

const NOTHING: Population = Population { ike_sas: 0, half_open: 0, child_sas: 0 };

/// Signs with its key, and shows this one.
fn shows(own: &Key, shown: &Key) -> LocalProof {
    let raw = Some(shown.public().info().into());
    LocalProof::Signature(Arc::new(Credential { key: own.signing(), certificates: Vec::new(), raw, staple: None }))
}

fn knows(keys: &[&Key]) -> RemoteProof {
    RemoteProof::Keys(keys.iter().map(|key| key.public()).collect())
}

/// Both ends; each knows one more key than the other's.
fn pair(kind: KeyKind) -> (Pair, [Key; 3]) {
    let keys = [Key::of(kind, 1), Key::of(kind, 2), Key::of(kind, 3)];
    let pair = Pair::new(1)
        .client_profile(|profile| {
            (profile.proofs.local, profile.proofs.remote) = (shows(&keys[0], &keys[0]), knows(&[&keys[2], &keys[1]]));
        })
        .gateway_profile(|profile| {
            (profile.proofs.local, profile.proofs.remote) = (shows(&keys[1], &keys[1]), knows(&[&keys[2], &keys[0]]));
        });
    (pair, keys)
}

#[test]
fn both_ends_show_their_keys_and_no_certificate_is_needed() {
    for kind in KINDS {
        let pair = pair(kind).0.established();
        // IKE_AUTH { IDi, CERT(15), .., AUTH } --> <-- { IDr, CERT(15), AUTH, .. }
        let auths = pair.arrows().lines().filter(|line| line.contains("IKE_AUTH") && line.contains("CERT,")).count();
        assert_eq!(auths, 2, "{kind}");
    }
}

fn change(pair: Pair, who: HostId, change: impl FnOnce(&mut Profile)) -> Pair {
    if who == CLIENT { pair.client_profile(change) } else { pair.gateway_profile(change) }
}

#[test]
fn a_key_that_nobody_knows_is_refused_and_so_is_one_that_belongs_to_somebody_else() {
    for who in [CLIENT, GATEWAY] {
        for (signs, shown, why) in [
            (3, 3, "peer shows a public key that the profile does not know"),
            (3, usize::from(who == GATEWAY), "the signature was not made by the key"),
            (3, 2, "the signature was not made by the key"),
        ] {
            let (pair, keys) = pair(KeyKind::P256);
            let stranger = Key::of(KeyKind::P256, 9);
            let pick = |index: usize| keys.get(index).unwrap_or(&stranger);
            let proof = shows(pick(signs), pick(shown));
            let mut pair = change(pair, who, |profile| profile.proofs.local = proof);
            pair.connect();
            let failure = pair.client().failures()[0].0;
            if who == CLIENT {
                assert_eq!(failure, &ConnectError::PeerRefusedAuth);
                assert!(
                    pair.gateway().notices().iter().any(|text| text.contains(why)),
                    "{:?}",
                    pair.gateway().notices()
                );
            } else {
                assert!(failure.to_string().contains(why), "{failure}");
            }
            pair.run_for(secs(60));
            assert!(pair.hosts.iter().all(|host| host.engine.population() == NOTHING));
        }
    }
}

#[test]
fn a_peer_that_shows_nothing_is_known_by_its_signature_all_the_same() {
    let (pair, keys) = pair(KeyKind::Ed25519);
    let bare = Credential { key: keys[0].signing(), certificates: Vec::new(), raw: None, staple: None };
    let pair = pair.client_profile(|profile| profile.proofs.local = LocalProof::Signature(Arc::new(bare)));
    let pair = pair.established();
    assert_eq!(pair.gateway().alive().len(), 1);
}
