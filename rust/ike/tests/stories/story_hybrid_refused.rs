//! A peer that gets additional key exchanges wrong, on purpose or not: RFC 9242 and RFC 9370 section 2.2.2.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use mobike_ike::crypto::auth::{Intermediate, SignedOctets};
use mobike_ike::crypto::negotiate::proposals;
use mobike_ike::crypto::{AuthKeys, Ephemeral, IkeSuite, KeMethod, Nonces, Role, SecretBytes, SeededRandom};
use mobike_ike::crypto::{SkeySeed, Spis};
use mobike_ike::event::ConnectError;
use mobike_ike::profile::Retransmit;
use mobike_ike::sa::channel::{Channel, Outgoing};
use mobike_ike::table::room::Room;
use mobike_ike::wire::{
    AuthMethod, Authentication, ExchangeType, Flags, Header, IdType, Identification, KeMethod as KeNumber, KeyExchange,
    Message, MessageWriter, Nonce, NotifyType, Payload, Proposal, ProtocolId, SaPayload, Sequence, Transform,
    TransformType,
};
use mobike_ike::{
    Command, Engine, Event, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, ProfileId, Selector, Settings,
    Token,
};

const PSK: &[u8] = b"correct horse battery staple";
const NONCE: [u8; 32] = [0x5a; 32];
const SUITE: &str = "aes256gcm16-prfsha384-x25519-ke1_mlkem768";
const BETWEEN: ExchangeType = ExchangeType::IKE_INTERMEDIATE;

fn profile() -> Profile {
    Profile {
        ike_suites: vec![SUITE.parse().unwrap()],
        esp_suites: vec!["aes256gcm16".parse().unwrap()],
        local_ts: vec![Selector::ANY_V4],
        remote_ts: vec![Selector::ANY_V4],
        accepts: true,
        retransmit: Retransmit { jitter_percent: 0, ..Retransmit::default() },
        away_at_most: Duration::ZERO,
        ..Profile::bare(
            "hybrid",
            Identity::Fqdn("engine.example.net".into()),
            IdentityPattern::Any,
            SecretBytes::from_slice(PSK),
        )
    }
}

/// The engine, and the half of an IKE SA that the test plays.
struct Play {
    engine: Engine,
    path: Path,
    channel: Channel,
    auth: AuthKeys,
    nonces: (Vec<u8>, Vec<u8>),
    /// The IKE_SA_INIT message of the played half.
    init: Vec<u8>,
    said: Intermediate,
    inbox: Vec<Vec<u8>>,
}

const NOW: Nanos = Nanos(1_000_000_000);

fn start() -> (Engine, Path) {
    let mut engine = Engine::new(Settings::default(), [9; 32]);
    engine.handle_command(NOW, Command::SetProfile { id: ProfileId(1), profile: Arc::new(profile()) });
    let path = Path::udp("203.0.113.1:4500".parse().unwrap(), "192.0.2.7:4500".parse().unwrap());
    (engine, path)
}

fn drain(engine: &mut Engine) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| engine.poll_transmit()).map(|sent| sent.bytes.to_vec()).collect()
}

fn init(header: &Header, pair: &Ephemeral, suite: &str, promises: bool) -> Vec<u8> {
    let suite: [IkeSuite; 1] = [suite.parse().unwrap()];
    let (number, ours) = proposals(&suite).next().unwrap();
    let transforms: Vec<Transform<'_>> = ours
        .iter()
        .map(|one| Transform { key_length: one.key_bits, ..Transform::new(TransformType(one.kind), one.id) })
        .collect();
    let proposal = Proposal { number, protocol: ProtocolId::IKE, spi: &[], transforms: Sequence::of(&transforms) };
    let mut writer = MessageWriter::new(header)
        .payload(&Payload::Sa(SaPayload::of(&[proposal])))
        .payload(&Payload::KeyExchange(KeyExchange { method: KeNumber::CURVE25519, data: pair.public() }))
        .payload(&Payload::Nonce(Nonce::new(&NONCE).unwrap()));
    if promises {
        writer.push(&Payload::notify(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED, &[]));
    }
    writer.finish().unwrap()
}

impl Play {
    /// The test asks, the engine answers.
    fn asking() -> Play {
        let (mut engine, path) = start();
        let pair = Ephemeral::generate(KeMethod::X25519, &mut SeededRandom::new([3; 32])).unwrap();
        let flags = Flags { initiator: true, ..Flags::default() };
        let init = init(&Header::new(0xabcd, 0, ExchangeType::IKE_SA_INIT, flags, 0), &pair, SUITE, true);
        engine.handle_datagram(NOW, path, &mut init.clone());
        let answers = drain(&mut engine);
        let answer = Message::parse(&answers[0]).unwrap();
        assert!(answer.payloads.has(NotifyType::INTERMEDIATE_EXCHANGE_SUPPORTED));
        let spis = Spis { initiator: 0xabcd, responder: answer.header.responder_spi };
        let shared = pair.agree(answer.payloads.key_exchange().unwrap().data).unwrap();
        let nonces = (NONCE.to_vec(), answer.payloads.nonce().unwrap().octets().to_vec());
        let both = Nonces::new(&nonces.0, &nonces.1).unwrap();
        let suite: IkeSuite = SUITE.parse().unwrap();
        let (keys, auth) = SkeySeed::initial(suite.prf(), &both, shared).expand(&suite, &both, spis).unwrap();
        let channel = Channel::new(spis, Role::Initiator, keys);
        Play { engine, path, channel, auth, nonces, init, said: Intermediate::default(), inbox: Vec::new() }
    }

    /// The engine asks, the test answers with this suite; the engine's first IKE_INTERMEDIATE is in the inbox.
    fn answering(suite: &str, promises: bool) -> Result<Play, Box<Engine>> {
        let (mut engine, path) = start();
        let natt = NattPorts { local: 4500, remote: 4500 };
        let order =
            Command::Connect { token: Token(1), profile: ProfileId(1), paths: vec![path], natt, redirected_from: None };
        engine.handle_command(NOW, order);
        let sent = drain(&mut engine);
        let request = Message::parse(&sent[0]).unwrap();
        let spis = Spis { initiator: request.header.initiator_spi, responder: 0xdcba };
        let (public, shared) = mobike_ike::crypto::kex::respond(
            KeMethod::X25519,
            request.payloads.key_exchange().unwrap().data,
            &mut SeededRandom::new([4; 32]),
        )
        .unwrap();
        let pair = Ephemeral::generate(KeMethod::X25519, &mut SeededRandom::new([4; 32])).unwrap();
        assert_eq!(public.as_bytes(), pair.public());
        let flags = Flags { response: true, ..Flags::default() };
        let header = Header::new(spis.initiator, spis.responder, ExchangeType::IKE_SA_INIT, flags, 0);
        let init = init(&header, &pair, suite, promises);
        let nonces = (request.payloads.nonce().unwrap().octets().to_vec(), NONCE.to_vec());
        let both = Nonces::new(&nonces.0, &nonces.1).unwrap();
        let suite: IkeSuite = SUITE.parse().unwrap();
        let (keys, auth) = SkeySeed::initial(suite.prf(), &both, shared).expand(&suite, &both, spis).unwrap();
        engine.handle_datagram(NOW, path, &mut init.clone());
        let inbox = drain(&mut engine);
        if inbox.is_empty() {
            return Err(Box::new(engine));
        }
        let channel = Channel::new(spis, Role::Responder, keys);
        Ok(Play { engine, path, channel, auth, nonces, init, said: Intermediate::default(), inbox })
    }

    /// Send a message whose payloads are these; what it is for AUTH.
    fn say(&mut self, exchange: ExchangeType, id: u32, payloads: &[Payload<'_>]) -> Vec<u8> {
        let response = self.channel.role == Role::Responder;
        let mut intact = Vec::new();
        let message = Outgoing { exchange, id, response };
        let bytes = self.channel.seal(&mut Vec::new(), message, |writer| {
            payloads.iter().for_each(|payload| writer.push(payload));
            intact = writer.intact();
        });
        self.engine.handle_datagram(NOW, self.path, &mut bytes.unwrap().to_vec());
        self.inbox.extend(drain(&mut self.engine));
        intact
    }

    fn send_ke(&mut self, id: u32, method: u16, data: &[u8]) -> Vec<u8> {
        self.say(BETWEEN, id, &[Payload::KeyExchange(KeyExchange { method: KeNumber(method), data })])
    }

    /// The oldest message of the engine: its exchange, id, notifications and KE, and what it is for AUTH.
    fn heard(&mut self) -> Heard {
        let mut bytes = self.inbox.remove(0);
        let opened = self.channel.open(&Room::default(), &mut bytes).expect("it is sealed for us");
        let payloads = opened.payloads().unwrap();
        Heard {
            exchange: opened.header.exchange,
            id: opened.header.message_id,
            notified: payloads.notifies().map(|notify| notify.kind).collect(),
            ke: payloads.key_exchange().map(|ke| ke.data.to_vec()),
            intact: opened.intact(),
        }
    }

    /// Over to the keys in which the additional secret has a part.
    fn advance(&mut self, shared: mobike_ike::crypto::SharedSecret, request: &[u8], answer: &[u8]) {
        let nonces = Nonces::new(&self.nonces.0, &self.nonces.1).unwrap();
        let suite: IkeSuite = SUITE.parse().unwrap();
        let spis = self.channel.spis;
        let seed = SkeySeed::rekeyed(self.channel.keys().sk_d(), &nonces, shared);
        let (keys, auth) = seed.expand(&suite, &nonces, spis).unwrap();
        self.said.add(&self.auth, request, answer);
        self.channel = Channel::new(spis, self.channel.role, keys);
        self.auth = auth;
    }

    /// IKE_AUTH of an initiator without Child SA; `said` is what it says that was said before.
    fn authenticate(&mut self, id: u32, said: bool) {
        let who = Identification::new(IdType::FQDN, b"played.example.net");
        let body = [&who.head(), who.data].concat();
        let octets = SignedOctets::new(&self.auth, Role::Initiator, &self.init, &self.nonces.1, &body);
        let octets = if said { octets.after(&self.said) } else { octets };
        let proof = octets.shared_key_auth(PSK).expose().to_vec();
        let auth = Authentication { method: AuthMethod::SHARED_KEY, data: &proof };
        self.say(ExchangeType::IKE_AUTH, id, &[Payload::IdInitiator(who), Payload::Authentication(auth)]);
    }

    fn ups(&mut self) -> usize {
        core::iter::from_fn(|| self.engine.poll_event()).filter(|event| matches!(event, Event::IkeSaUp(_))).count()
    }

    /// The additional key exchange as it should be.
    fn exchange(&mut self) {
        let pair = Ephemeral::generate(KeMethod::MlKem768, &mut SeededRandom::new([7; 32])).unwrap();
        let request = self.send_ke(1, 36, pair.public());
        let heard = self.heard();
        assert_eq!((heard.exchange, heard.id), (BETWEEN, 1));
        let shared = pair.agree(&heard.ke.unwrap()).unwrap();
        self.advance(shared, &request, &heard.intact);
    }
}

struct Heard {
    exchange: ExchangeType,
    id: u32,
    notified: Vec<NotifyType>,
    ke: Option<Vec<u8>>,
    intact: Vec<u8>,
}

#[test]
fn a_peer_that_does_it_right_is_let_in() {
    let mut play = Play::asking();
    play.exchange();
    play.authenticate(2, true);
    assert_eq!(play.heard().notified, []);
    assert_eq!(play.ups(), 1);
}

#[test]
fn auth_that_leaves_out_what_was_said_between_proves_nothing() {
    let mut play = Play::asking();
    play.exchange();
    play.authenticate(2, false);
    assert_eq!(play.heard().notified, [NotifyType::AUTHENTICATION_FAILED]);
    assert_eq!(play.ups(), 0);
}

/// The message id of IKE_AUTH is part of it: one exchange more or less cannot be hidden.
#[test]
fn auth_that_counts_another_number_of_exchanges_proves_nothing() {
    let mut play = Play::asking();
    play.exchange();
    let (mut twice, keys) = (Intermediate::default(), &play.auth);
    twice.add(keys, b"first", b"first");
    twice.add(keys, b"second", b"second");
    play.said = twice;
    play.authenticate(2, true);
    assert_eq!(play.heard().notified, [NotifyType::AUTHENTICATION_FAILED]);
    assert_eq!(play.ups(), 0);
}

#[test]
fn auth_over_another_exchange_than_there_was_proves_nothing() {
    let mut play = Play::asking();
    play.exchange();
    let (mut other, keys) = (Intermediate::default(), &play.auth);
    other.add(keys, b"another request", b"another answer");
    play.said = other;
    play.authenticate(2, true);
    assert_eq!(play.heard().notified, [NotifyType::AUTHENTICATION_FAILED]);
    assert_eq!(play.ups(), 0);
}

#[test]
fn ike_auth_before_its_turn_is_refused_and_repeated_in_vain() {
    let mut play = Play::asking();
    play.authenticate(1, false);
    assert_eq!(play.heard().notified, [NotifyType::INVALID_SYNTAX]);
    assert_eq!(play.engine.counters().invalid_requests, 1);
    // Nor does it help to go back to what was left out.
    play.send_ke(1, 36, &[9; 1_184]);
    assert_eq!(play.heard().notified, [NotifyType::INVALID_SYNTAX]);
    assert_eq!(play.ups(), 0);
}

#[test]
fn a_value_that_is_none_is_refused_and_the_half_open_sa_ends() {
    let out_of_range = vec![0xff; 1_184];
    let cases: [(&str, u16, &[u8]); 5] = [
        ("another method", 37, &[1; 1_184]),
        ("a method that was done", 31, &[1; 32]),
        ("too short", 36, &[1; 1_183]),
        ("too long", 36, &[1; 1_185]),
        ("out of range", 36, &out_of_range),
    ];
    for (what, method, data) in cases {
        let mut play = Play::asking();
        play.send_ke(1, method, data);
        let heard = play.heard();
        assert_eq!((heard.exchange, heard.id), (BETWEEN, 1), "{what}");
        assert_eq!(heard.notified, [NotifyType::INVALID_SYNTAX], "{what}");
        assert_eq!(play.engine.counters().dropped_bad_ke, 1, "{what}");
        play.engine.handle_timeout(NOW + Duration::from_secs(60));
        assert_eq!(play.engine.population().half_open, 0, "{what}");
        assert_eq!(play.ups(), 0);
    }
    let mut play = Play::asking();
    play.say(BETWEEN, 1, &[Payload::Vendor(b"nothing of use")]);
    assert_eq!(play.heard().notified, [NotifyType::INVALID_SYNTAX], "no KE at all");
}

#[test]
fn more_exchanges_than_agreed_are_not_answered() {
    let mut play = Play::asking();
    play.exchange();
    play.send_ke(2, 36, &[1; 1_184]);
    play.send_ke(3, 36, &[1; 1_184]);
    assert!(play.inbox.is_empty());
    assert_eq!(play.engine.counters().dropped_wrong_state, 2);
    play.authenticate(2, true);
    assert_eq!(play.ups(), 1);
}

fn failure(engine: &mut Engine) -> Option<ConnectError> {
    core::iter::from_fn(|| engine.poll_event()).find_map(|event| match event {
        Event::ConnectFailed { why, .. } => Some(why),
        _ => None,
    })
}

#[test]
fn an_initiator_ends_at_once_on_an_answer_that_is_none() {
    let cases: [(&str, u16, usize); 3] =
        [("another method", 35, 1_088), ("too short", 36, 1_087), ("too long", 36, 1_089)];
    for (what, method, len) in cases {
        let mut play = Play::answering(SUITE, true).map_err(|_| what).unwrap();
        assert_eq!(play.heard().exchange, BETWEEN);
        play.send_ke(1, method, &vec![1; len]);
        let Some(ConnectError::PeerError(why)) = failure(&mut play.engine) else { panic!("{what}") };
        assert!(why.starts_with("IKE_INTERMEDIATE: "), "{why}");
        assert_eq!(play.engine.population().ike_sas, 0, "{what}");
    }
    let mut play = Play::answering(SUITE, true).map_err(|_| "no request").unwrap();
    play.heard();
    play.say(BETWEEN, 1, &[Payload::notify(NotifyType::INVALID_SYNTAX, &[])]);
    assert_eq!(failure(&mut play.engine), Some(ConnectError::PeerError("IKE_INTERMEDIATE: INVALID_SYNTAX".into())));
}

/// An answer in the clear that nobody vouches for is doubted, and a better one awaited.
#[test]
fn an_answer_that_agrees_but_cannot_do_it_is_doubted() {
    let Err(engine) = Play::answering(SUITE, false) else { panic!("it was believed") };
    assert_eq!(engine.counters().unproven_answers, 1);
    assert_eq!(engine.population().ike_sas, 1);
}

/// A forged ciphertext gives other keys: nothing that follows can be opened (FIPS 203 section 6.3).
#[test]
fn an_initiator_and_a_responder_with_different_secrets_never_meet() {
    let mut play = Play::answering(SUITE, true).map_err(|_| "no request").unwrap();
    play.heard();
    play.send_ke(1, 36, &[1; 1_088]);
    // It goes on, for it cannot tell; but with keys that the played half does not have.
    let mut bytes = play.inbox.remove(0);
    assert_eq!(Header::parse(&bytes).unwrap().exchange, ExchangeType::IKE_AUTH);
    assert!(play.channel.open(&Room::default(), &mut bytes).is_err());
}
