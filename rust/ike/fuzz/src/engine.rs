//! The whole engine against anything that can arrive: a gateway that knows nobody, and a client in the middle of
//! connecting, are given the input cut into datagrams.
//!
//! ```text
//! | to whom, from where (1) | length (1) | octets | ...
//! ```
//!
//! Whatever comes, nothing panics, no IKE SA is established, and what is answered and remembered stays in proportion.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use mobike_ike::crypto::SecretBytes;
use mobike_ike::{
    Command, Engine, Event, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, ProfileId, Quoted, Selector,
    Settings, Token,
};

/// Hand the input to two fresh engines.
pub fn engine(input: &[u8]) {
    let mut now = Nanos(1_000_000_000);
    let mut gateway = made(now, true);
    let mut client = made(now, false);
    let paths = vec![path(0).reversed()];
    let natt = NattPorts { local: 4500, remote: 4500 };
    client.handle_command(
        now,
        Command::Connect { token: Token(1), profile: ProfileId(1), paths, natt, redirected_from: None },
    );
    let request = client.poll_transmit().map(|sent| sent.bytes.to_vec()).unwrap_or_default();
    let mut rest = input;
    let mut datagrams = 0;
    while let [whom, length, octets @ ..] = rest {
        let (octets, after) = octets.split_at(usize::from(*length).min(octets.len()));
        rest = after;
        datagrams += 1;
        now = now + Duration::from_millis(u64::from(*whom));
        // Half of the input is laid over a true request, so that much of it gets past the header.
        let mut bytes = if whom & 2 == 0 { octets.to_vec() } else { laid_over(&request, octets) };
        let (engine, path) =
            if whom & 1 == 0 { (&mut gateway, path(whom >> 2)) } else { (&mut client, path(whom >> 2).reversed()) };
        // Somebody claims that it was ours, and came back.
        engine.handle_unreachable(now, path, Quoted::Ike(&bytes));
        engine.handle_datagram(now, path, &mut bytes);
        engine.handle_timeout(now);
    }
    for engine in [&mut gateway, &mut client] {
        let events = core::iter::from_fn(|| engine.poll_event());
        assert_eq!(events.filter(|event| matches!(event, Event::IkeSaUp(_))).count(), 0);
        let sent = core::iter::from_fn(|| engine.poll_transmit()).count();
        assert!(sent <= 2 * datagrams + 1, "{sent} answers to {datagrams} datagrams");
        assert!(engine.population().ike_sas as usize <= datagrams + 1);
        engine.handle_timeout(now + Duration::from_secs(600));
        assert_eq!(engine.population().ike_sas, 0, "nothing stays");
    }
}

/// The engine's view of a path to a gateway.
fn path(port: u8) -> Path {
    let remote = SocketAddr::from(([192, 0, 2, 1], 500 + u16::from(port)));
    Path::udp(SocketAddr::from(([203, 0, 113, 1], 500)), remote)
}

fn laid_over(request: &[u8], octets: &[u8]) -> Vec<u8> {
    let mut bytes = request.to_vec();
    if let Some((at, octets)) = octets.split_first() {
        let at = usize::from(*at).min(bytes.len());
        let end = (at + octets.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&octets[..end - at]);
    }
    bytes
}

fn made(now: Nanos, accepts: bool) -> Engine {
    let any = vec![Selector::ANY_V4];
    let profile = Profile {
        ike_suites: "aes128gcm16-prfsha256-x25519".parse().into_iter().collect(),
        esp_suites: "aes128gcm16".parse().into_iter().collect(),
        local_ts: any.clone(),
        remote_ts: any,
        accepts,
        initial_contact: true,
        ..Profile::bare(
            "fuzz",
            Identity::Fqdn("fuzz.example.net".into()),
            IdentityPattern::Any,
            SecretBytes::from_slice(b"a secret that no input knows"),
        )
    };
    let mut engine = Engine::new(Settings::default(), [7; 32]);
    engine.handle_command(now, Command::SetProfile { id: ProfileId(1), profile: Arc::new(profile) });
    engine
}
