//! A gateway and those who knock at it: strangers told by hand, who send IKE_SA_INIT and no more, and honest clients, which
//! are engines of their own. No network between them: what one sends the other has at once.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a story that cannot go on fails")]

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use mobike_ike::profile::PskSecret;
use mobike_ike::wire::{Message, MessageWriter, NotifyType, Payload, Payloads};
use mobike_ike::{
    Command, Engine, Event, HalfOpenLimits, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, ProfileId,
    Settings, Token,
};

const PROFILE: ProfileId = ProfileId(1);
const GATEWAY: &str = "gateway.example.net";
const SECRET: &[u8] = b"correct horse battery staple";

/// A gateway, and the time.
pub struct Crowd {
    pub gateway: Engine,
    pub now: Nanos,
    pub notices: Vec<String>,
    template: Vec<u8>,
    clients: u32,
}

/// What a stranger hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    Cookie(Vec<u8>),
    Served,
    Other(NotifyType),
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn path_from(from: IpAddr) -> Path {
    let gateway = if from.is_ipv4() { ip("203.0.113.1") } else { ip("2001:db8:ffff::1") };
    Path::udp(SocketAddr::new(from, 500), SocketAddr::new(gateway, 500))
}

pub fn profile(local: &str, remote: IdentityPattern, secret: &[u8]) -> Profile {
    Profile {
        ike_suites: vec!["aes256gcm16-prfsha384-x25519".parse().expect("a suite")],
        ..Profile::bare("crowd", Identity::Fqdn(local.into()), remote, PskSecret::from_slice(secret))
    }
}

/// A client that knows this secret, on its way.
pub fn client(number: u32, secret: &[u8], now: Nanos, from: IpAddr, change: impl FnOnce(&mut Profile)) -> Engine {
    client_of(Settings::default(), (number, secret), now, from, change)
}

/// The same, with other settings.
pub fn client_of(
    settings: Settings,
    (number, secret): (u32, &[u8]),
    now: Nanos,
    from: IpAddr,
    change: impl FnOnce(&mut Profile),
) -> Engine {
    let mut seed = [0x5A; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let mut client = Engine::new(settings, seed);
    let name = format!("client-{number}.example.net");
    let mut orders = profile(&name, IdentityPattern::Exact(Identity::Fqdn(GATEWAY.into())), secret);
    change(&mut orders);
    client.handle_command(now, Command::SetProfile { id: PROFILE, profile: Arc::new(orders) });
    let natt = NattPorts { local: 4500, remote: 4500 };
    let paths = vec![path_from(from)];
    client.handle_command(
        now,
        Command::Connect { token: Token(1), profile: PROFILE, paths, natt, redirected_from: None },
    );
    client
}

impl Crowd {
    pub fn new(limits: HalfOpenLimits) -> Crowd {
        Crowd::with(limits, |_| ())
    }

    pub fn with(limits: HalfOpenLimits, change: impl FnOnce(&mut Profile)) -> Crowd {
        let now = Nanos(1_000_000_000);
        let mut gateway = Engine::new(Settings { half_open: limits, ..Settings::default() }, [1; 32]);
        let anybody = IdentityPattern::Suffix(".example.net".into());
        let mut orders = Profile { accepts: true, ..profile(GATEWAY, anybody, SECRET) };
        change(&mut orders);
        gateway.handle_command(now, Command::SetProfile { id: PROFILE, profile: Arc::new(orders) });
        let mut first = client(0, SECRET, now, ip("192.0.2.1"), |_| ());
        let template = first.poll_transmit().expect("IKE_SA_INIT").bytes.to_vec();
        Crowd { gateway, now, notices: Vec::new(), template, clients: 0 }
    }

    pub fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(due) = self.gateway.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.gateway.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// A stranger's request, with these payloads before the others.
    pub fn request(&self, spi: u64, before: &[Payload<'_>]) -> Vec<u8> {
        let message = Message::parse(&self.template).expect("our own request");
        let mut header = message.header;
        header.initiator_spi = spi;
        let mut writer = MessageWriter::new(&header);
        before.iter().for_each(|payload| writer.push(payload));
        message.payloads.iter().for_each(|payload| writer.push(payload));
        writer.finish().expect("it fits")
    }

    /// A stranger asks.
    pub fn knock(&mut self, from: IpAddr, spi: u64, cookie: Option<&[u8]>) -> Heard {
        let cookie = cookie.map(|cookie| Payload::notify(NotifyType::COOKIE, cookie));
        let request = self.request(spi, cookie.as_slice());
        self.send(from, &request, |payloads| {
            match payloads.notifies().find(|notify| notify.kind.0 < 16_388 || notify.kind == NotifyType::COOKIE) {
                Some(notify) if notify.kind == NotifyType::COOKIE => Heard::Cookie(notify.data.to_vec()),
                _ if payloads.sa().is_some() => Heard::Served,
                Some(notify) => Heard::Other(notify.kind),
                None => Heard::Nothing,
            }
        })
        .unwrap_or(Heard::Nothing)
    }

    /// Somebody sends this; what the answer says.
    pub fn send<T>(&mut self, from: IpAddr, request: &[u8], read: impl FnOnce(&Payloads<'_>) -> T) -> Option<T> {
        let mut bytes = request.to_vec();
        self.gateway.handle_datagram(self.now, path_from(from).reversed(), &mut bytes);
        self.hear();
        let answer = self.gateway.poll_transmit()?;
        assert!(self.gateway.poll_transmit().is_none(), "one request, one answer");
        assert!(
            answer.bytes.len() <= request.len() || answer.bytes[16] != 41,
            "a refusal is no longer than what it refuses"
        );
        Message::parse(&answer.bytes).ok().map(|message| read(&message.payloads))
    }

    fn hear(&mut self) {
        while let Some(event) = self.gateway.poll_event() {
            if let Event::Notice { text, .. } = event {
                self.notices.push(text);
            }
        }
    }

    /// A stranger asks, and returns the cookie if it must.
    pub fn insist(&mut self, from: IpAddr, spi: u64) -> Heard {
        match self.knock(from, spi, None) {
            Heard::Cookie(cookie) => self.knock(from, spi, Some(&cookie)),
            heard => heard,
        }
    }

    /// A client with this secret asks. `true` if it is let in, after the time it takes.
    pub fn come(&mut self, from: IpAddr, secret: &[u8]) -> bool {
        self.clients += 1;
        let client = client(self.clients, secret, self.now, from, |_| ());
        self.lead(client, from).0
    }

    /// An honest client asks.
    pub fn honest(&mut self, from: IpAddr) -> bool {
        self.come(from, SECRET)
    }

    /// Carry to and fro until the client is in or has given up, or nothing is left to say.
    pub fn lead(&mut self, mut client: Engine, from: IpAddr) -> (bool, Engine) {
        let up = |client: &mut Engine| {
            std::iter::from_fn(|| client.poll_event()).any(|event| matches!(event, Event::IkeSaUp(_)))
        };
        for _ in 0..100_000 {
            while let Some(said) = client.poll_transmit() {
                let mut bytes = said.bytes.to_vec();
                self.gateway.handle_datagram(self.now, said.path.reversed(), &mut bytes);
                self.hear();
                while let Some(answer) = self.gateway.poll_transmit() {
                    let mut bytes = answer.bytes.to_vec();
                    client.handle_datagram(self.now, answer.path.reversed(), &mut bytes);
                }
            }
            if up(&mut client) {
                return (true, client);
            }
            // Who waits for longer waits for a repetition, or for nothing.
            match client.poll_timeout() {
                Some(due) if due.since(self.now) <= Duration::from_millis(100) => {
                    self.now = due.max(self.now);
                    client.handle_timeout(self.now);
                }
                _ => return (false, client),
            }
        }
        unreachable!("{from} never ends")
    }

    pub fn count(&self, name: &str) -> u64 {
        let mut found = None;
        self.gateway.counters().each(|known, value| {
            if known == name {
                found = Some(value);
            }
        });
        found.unwrap_or_else(|| unreachable!("no counter {name}"))
    }
}
