//! What probes may cost all SAs of an engine together: two engines and 1,000 SAs, without a stage, which remembers too much
//! for that.

use crate::scripted;

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use mobike_ike::sa::probe::{ECHOES_PER_SECOND, POLLS_PER_SECOND};
use mobike_ike::{
    Command, Engine, Event, Extensions, Nanos, NattPorts, Path, Profile, ProfileId, SaId, Settings, Token,
};

const SAS: u64 = 1_000;
const PAIRS: u8 = 8;
const MS: Duration = Duration::from_millis(1);

struct Two {
    now: Nanos,
    client: Engine,
    gateway: Engine,
    ups: Vec<SaId>,
}

impl Two {
    fn new() -> Two {
        let engine = |seed, accepts| {
            let mut engine = Engine::new(Settings::default(), [seed; 32]);
            let profile = Profile { accepts, extensions: Extensions::ALL, ..scripted::profile() };
            engine.handle_command(Nanos(0), Command::SetProfile { id: ProfileId(1), profile: Arc::new(profile) });
            engine
        };
        Two { now: Nanos(1_000_000_000), client: engine(1, false), gateway: engine(2, true), ups: Vec::new() }
    }

    fn connect(&mut self, token: u64) {
        let natt = NattPorts { local: 4500, remote: 4500 };
        let paths = vec![path(0, 500)];
        let command =
            Command::Connect { token: Token(token), profile: ProfileId(1), paths, natt, redirected_from: None };
        self.client.handle_command(self.now, command);
        self.drain();
    }

    /// Everything arrives at once, until nobody has anything to say.
    fn drain(&mut self) {
        loop {
            let sent: Vec<_> = core::iter::from_fn(|| self.client.poll_transmit()).collect();
            let back: Vec<_> = core::iter::from_fn(|| self.gateway.poll_transmit()).collect();
            let events = core::iter::from_fn(|| self.client.poll_event());
            self.ups.extend(events.filter_map(|event| if let Event::IkeSaUp(up) = event { Some(up.sa) } else { None }));
            while self.gateway.poll_event().is_some() {}
            if sent.is_empty() && back.is_empty() {
                return;
            }
            for (engine, transmits) in [(&mut self.gateway, sent), (&mut self.client, back)] {
                for transmit in transmits {
                    engine.handle_datagram(self.now, transmit.path.reversed(), &mut transmit.bytes.to_vec());
                }
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + MS;
            self.client.handle_timeout(self.now);
            self.gateway.handle_timeout(self.now);
            self.drain();
        }
    }
}

fn path(pair: u8, port: u16) -> Path {
    let end = |network: u8| SocketAddr::from(([192, 0, 2, network + pair], port));
    Path::udp(end(1), end(101))
}

// req: A5.4-1
#[test]
fn a_thousand_sas_cost_no_more_than_the_budget() {
    let mut two = Two::new();
    (0..SAS).for_each(|token| two.connect(token));
    assert_eq!(two.ups.len() as u64, SAS);
    let paths: Arc<[Path]> = (0..PAIRS).map(|pair| path(pair, 4500)).collect();
    for sa in two.ups.clone() {
        let paths = Arc::clone(&paths);
        two.client.handle_command(two.now, Command::Watch { sa, paths, interval: Duration::from_millis(100) });
    }
    two.pass(Duration::from_secs(5));
    let counted = |engine: &Engine| {
        let counters = engine.counters();
        (counters.probe_polls_sent, counters.probe_echoes_sent, counters.probes_over_budget)
    };
    let (polls, _, refused) = counted(&two.client);
    // 80,000 a second are wanted: a full bucket, then what five seconds bring.
    assert!(polls <= u64::from(6 * POLLS_PER_SECOND), "{polls}");
    assert!(polls >= u64::from(4 * POLLS_PER_SECOND), "{polls}: what is there is used");
    assert!(refused > 10 * polls);
    let (polls, echoes, _) = counted(&two.gateway);
    assert!(polls + echoes <= u64::from(6 * ECHOES_PER_SECOND), "{polls} and {echoes}");
}
