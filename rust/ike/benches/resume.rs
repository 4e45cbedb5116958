//! What taking an IKE SA up again by a ticket costs (RFC 5723), beside a set-up by a shared key, in one run: `cargo bench -p
//! mobike-ike --bench resume`. X25519 for both; a certificate would cost a signature at each end besides.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mobike_ike::crypto::SecretBytes;
use mobike_ike::profile::Retransmit;
use mobike_ike::{
    Command, Engine, Event, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, ProfileId, Resumption,
    Settings, Token,
};

const PROFILE: ProfileId = ProfileId(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn profile(local: &str, remote: &str) -> Profile {
    let second = Duration::from_secs(1);
    Profile {
        ike_suites: vec!["aes128gcm16-prfsha256-x25519".parse().unwrap()],
        esp_suites: vec!["aes128gcm16".parse().unwrap()],
        initial_contact: true,
        retransmit: Retransmit { give_up_initiator: second, ..Retransmit::default() },
        ..Profile::bare(
            "bench",
            Identity::Fqdn(local.into()),
            IdentityPattern::Exact(Identity::Fqdn(remote.into())),
            SecretBytes::from_slice(b"correct horse battery staple"),
        )
    }
}

/// A client whose IKE SA dies again and again, and its gateway.
struct Bout {
    client: Engine,
    gateway: Engine,
    now: Nanos,
    resumes: bool,
}

impl Bout {
    fn new(resumes: bool) -> Bout {
        let mut client = Engine::new(Settings::default(), [1; 32]);
        let mut gateway = Engine::new(Settings::default(), [2; 32]);
        let now = Nanos(1_000_000_000);
        let mut ours = profile("client.example.net", "gateway.example.net");
        ours.liveness = Duration::from_secs(1);
        ours.resumption.ask = resumes;
        let mut theirs = profile("gateway.example.net", "client.example.net");
        theirs.accepts = true;
        theirs.resumption = Resumption { lifetime: HOUR, ..Resumption::default() };
        client.handle_command(now, Command::SetProfile { id: PROFILE, profile: Arc::new(ours) });
        gateway.handle_command(now, Command::SetProfile { id: PROFILE, profile: Arc::new(theirs) });
        let keys = Arc::from([SecretBytes::from_slice(&[7; 32])]);
        gateway.handle_command(now, Command::SetTicketKeys { keys, clock: HOUR });
        let mut bout = Bout { client, gateway, now, resumes };
        bout.connect();
        bout
    }

    /// Set up; the time that both ends took, and that of the gateway.
    fn connect(&mut self) -> [Duration; 2] {
        let path = Path::udp("10.0.0.1:500".parse().unwrap(), "203.0.113.1:500".parse().unwrap());
        let natt = NattPorts { local: 4500, remote: 4500 };
        let order =
            Command::Connect { token: Token(1), profile: PROFILE, paths: vec![path], natt, redirected_from: None };
        let (start, mut gateway) = (Instant::now(), Duration::ZERO);
        self.client.handle_command(self.now, order);
        let mut up = false;
        while let Some(request) = self.client.poll_transmit() {
            let mut bytes = request.bytes.to_vec();
            let begin = Instant::now();
            self.gateway.handle_datagram(self.now, request.path.reversed(), &mut bytes);
            while self.gateway.poll_event().is_some() {}
            let answers: [_; 3] = std::array::from_fn(|_| self.gateway.poll_transmit());
            gateway += begin.elapsed();
            for answer in answers.into_iter().flatten() {
                let mut bytes = answer.bytes.to_vec();
                self.client.handle_datagram(self.now, answer.path.reversed(), &mut bytes);
            }
            while let Some(event) = self.client.poll_event() {
                up |= matches!(event, Event::IkeSaUp(_));
            }
        }
        assert!(up);
        [start.elapsed(), gateway]
    }

    /// The client hears nothing until it has given up.
    fn die(&mut self) {
        loop {
            self.now = self.client.poll_timeout().unwrap();
            self.client.handle_timeout(self.now);
            while self.client.poll_transmit().is_some() {}
            while let Some(event) = self.client.poll_event() {
                if matches!(event, Event::IkeSaDown { .. }) {
                    return;
                }
            }
        }
    }

    fn round(&mut self) -> [Duration; 2] {
        self.die();
        let took = self.connect();
        if !self.resumes {
            assert_eq!(self.gateway.counters().sessions_resumed, 0);
        }
        took
    }
}

fn set_ups(c: &mut Criterion) {
    for (name, resumes) in [("shared key", false), ("ticket", true)] {
        for (part, whose) in ["both ends", "responder alone"].into_iter().enumerate() {
            c.bench_function(&format!("{name}, {whose}"), |b| {
                b.iter_custom(|rounds| {
                    let mut bout = Bout::new(resumes);
                    let took = (0..rounds).map(|_| bout.round()[part]).sum();
                    assert_eq!(bout.gateway.counters().sessions_resumed, if resumes { rounds } else { 0 });
                    took
                });
            });
        }
    }
}

criterion_group!(benches, set_ups);
criterion_main!(benches);
