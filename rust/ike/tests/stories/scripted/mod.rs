//! A peer that does what its script says, right or wrong: for what no engine of ours would ever send.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use mobike_ike::crypto::auth::SignedOctets;
use mobike_ike::crypto::{
    ChildKeys, Ephemeral, IkeSuite, IvCounter, KeMethod, Nonces, Role, SecretBytes, SeededRandom, SkeySeed, Spis,
};
use mobike_ike::profile::Retransmit;
use mobike_ike::sa::channel::{Channel, Outgoing};
use mobike_ike::table::room::Room;
use mobike_ike::wire::{
    AddressRange, AuthMethod, Authentication, EncryptionId, ExchangeType, Flags, Header, IdType, Identification,
    KeMethod as KeNumber, KeyExchange, Message, MessageWriter, Nonce, NotifyType, Payload, PayloadType, Payloads,
    PrfId, Proposal, ProtocolId, SaPayload, Selector as WireSelector, Sequence, SequenceNumbers, SkSizes, SkWriter,
    TrafficSelector, Transform, TsPayload,
};
use mobike_ike::{
    Command, Engine, Event, Identity, IdentityPattern, Nanos, NattPorts, Path, Profile, ProfileId, SaId, Selector,
    Settings, Token,
};

const PSK: &[u8] = b"correct horse battery staple";
const NONCE: [u8; 32] = [0x5a; 32];
pub const SCRIPTED_SPI: u32 = 0x1122_3344;
/// Long enough not to disturb stories that are not about it.
pub const LIVENESS: Duration = Duration::from_secs(1_000);

/// The engine under test, and the scripted peer's half of the IKE SA.
pub struct Script {
    pub engine: Engine,
    pub now: Nanos,
    pub events: Vec<Event>,
    /// The engine's view.
    pub path: Path,
    channel: Channel,
    /// Our next request.
    next_id: u32,
    inbox: Vec<(Path, Vec<u8>)>,
    last_sent: (Path, Vec<u8>),
}

pub fn profile() -> Profile {
    let any = vec![Selector::ANY_V4];
    Profile {
        ike_suites: ["aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-ecp256"]
            .map(|it| it.parse().unwrap())
            .into(),
        esp_suites: vec!["aes128gcm16".parse().unwrap()],
        local_ts: any.clone(),
        remote_ts: any,
        plan: mobike_ike::ChildPlan { at_most: 1, ..Default::default() },
        accepts: true,
        liveness: LIVENESS,
        retransmit: Retransmit { jitter_percent: 0, ..Retransmit::default() },
        ..Profile::bare(
            "scripted",
            Identity::Fqdn("engine.example.net".into()),
            IdentityPattern::Any,
            SecretBytes::from_slice(PSK),
        )
    }
}

/// The engine's view of a path from a peer at this address.
pub fn path(peer: &str) -> Path {
    Path::udp("203.0.113.1:4500".parse().unwrap(), SocketAddr::new(peer.parse().unwrap(), 4500))
}

fn drain(engine: &mut Engine, events: &mut Vec<Event>) -> Vec<(Path, Vec<u8>)> {
    events.extend(core::iter::from_fn(|| engine.poll_event()));
    core::iter::from_fn(|| engine.poll_transmit()).map(|sent| (sent.path, sent.bytes.to_vec())).collect()
}

fn engine() -> (Engine, Nanos) {
    let mut engine = Engine::new(Settings::default(), [9; 32]);
    let now = Nanos(1_000_000_000);
    engine.handle_command(now, Command::SetProfile { id: ProfileId(1), profile: Arc::new(profile()) });
    (engine, now)
}

fn ike_transforms() -> [Transform<'static>; 3] {
    [
        Transform::encryption(EncryptionId::ENCR_AES_GCM_16, Some(128)),
        Transform::prf(PrfId::PRF_HMAC_SHA2_256),
        Transform::key_exchange(KeNumber::CURVE25519),
    ]
}

fn init(header: &Header, pair: &Ephemeral) -> Vec<u8> {
    let transforms = ike_transforms();
    let proposal = Proposal { number: 1, protocol: ProtocolId::IKE, spi: &[], transforms: Sequence::of(&transforms) };
    MessageWriter::new(header)
        .payload(&Payload::Sa(SaPayload::of(&[proposal])))
        .payload(&Payload::KeyExchange(KeyExchange { method: KeNumber::CURVE25519, data: pair.public() }))
        .payload(&Payload::Nonce(Nonce::new(&NONCE).unwrap()))
        .payload(&Payload::Vendor(b"scripted"))
        .payload(&Payload::notify(NotifyType::SIGNATURE_HASH_ALGORITHMS, &[0, 2, 0, 3]))
        .payload(&Payload::notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, &[]))
        .payload(&Payload::notify(NotifyType::REDIRECT_SUPPORTED, &[]))
        .payload(&Payload::notify(NotifyType::CHILDLESS_IKEV2_SUPPORTED, &[]))
        .finish()
        .unwrap()
}

fn keys(
    role: Role,
    pair: &Ephemeral,
    theirs: &Message<'_>,
    spis: Spis,
) -> (Channel, mobike_ike::crypto::AuthKeys, Vec<u8>) {
    let suite: IkeSuite = "aes128gcm16-prfsha256-x25519".parse().unwrap();
    let nonce = theirs.payloads.nonce().unwrap().octets().to_vec();
    let shared = pair.agree(theirs.payloads.key_exchange().unwrap().data).unwrap();
    let nonces = match role {
        Role::Initiator => Nonces::new(&NONCE, &nonce),
        Role::Responder => Nonces::new(&nonce, &NONCE),
    };
    let nonces = nonces.unwrap();
    let (keys, auth) = SkeySeed::initial(suite.prf(), &nonces, shared).expand(&suite, &nonces, spis).unwrap();
    (Channel::new(spis, role, keys), auth, nonce)
}

/// ID, AUTH.
fn prove(writer: &mut SkWriter, role: Role, auth: &mobike_ike::crypto::AuthKeys, init: &[u8], nonce: &[u8]) {
    let id = Identification::new(IdType::FQDN, b"scripted.example.net");
    let body = [&id.head(), id.data].concat();
    writer.push(&match role {
        Role::Initiator => Payload::IdInitiator(id),
        Role::Responder => Payload::IdResponder(id),
    });
    let proof = SignedOctets::new(auth, role, init, nonce, &body).shared_key_auth(PSK);
    writer.push(&Payload::Authentication(Authentication { method: AuthMethod::SHARED_KEY, data: proof.expose() }));
}

/// SA.
pub fn offer(writer: &mut SkWriter) {
    let transforms = [
        Transform::encryption(EncryptionId::ENCR_AES_GCM_16, Some(128)),
        Transform::sequence_numbers(SequenceNumbers::SEQUENCE_32_BIT),
    ];
    let spi = SCRIPTED_SPI.to_be_bytes();
    let proposal = Proposal { number: 1, protocol: ProtocolId::ESP, spi: &spi, transforms: Sequence::of(&transforms) };
    writer.push(&Payload::Sa(SaPayload::of(&[proposal])));
}

/// TSi, TSr.
pub fn select(writer: &mut SkWriter) {
    let any = [WireSelector::Range(TrafficSelector::addresses(AddressRange::ALL_V4))];
    writer.push(&Payload::TsInitiator(TsPayload::of(&any)));
    writer.push(&Payload::TsResponder(TsPayload::of(&any)));
}

/// ID, AUTH, SA, TSi, TSr.
fn authenticate(writer: &mut SkWriter, role: Role, auth: &mobike_ike::crypto::AuthKeys, init: &[u8], nonce: &[u8]) {
    prove(writer, role, auth, init, nonce);
    offer(writer);
    select(writer);
}

const AUTH: ExchangeType = ExchangeType::IKE_AUTH;

impl Script {
    /// The scripted peer connects to the engine; `more` adds to its IKE_AUTH.
    pub fn as_initiator(more: impl FnOnce(&mut SkWriter)) -> Script {
        let mut script = Script::before_auth();
        let (init_sent, auth, nonce) = script.1;
        script.0.request(AUTH, |writer| {
            authenticate(writer, Role::Initiator, &auth, &init_sent, &nonce);
            more(writer);
        });
        script.0.inbox.clear();
        script.0
    }

    /// The same up to IKE_SA_INIT, with an IKE_AUTH of its own making.
    pub fn with_auth(write: impl FnOnce(&mut SkWriter)) -> Script {
        let (mut script, _) = Script::before_auth();
        script.request(AUTH, write);
        script
    }

    /// The same, proving itself, with the rest of IKE_AUTH of its own making.
    pub fn with_proof(more: impl FnOnce(&mut SkWriter)) -> Script {
        let (mut script, (init_sent, auth, nonce)) = Script::before_auth();
        script.request(AUTH, |writer| {
            prove(writer, Role::Initiator, &auth, &init_sent, &nonce);
            more(writer);
        });
        script
    }

    fn before_auth() -> (Script, (Vec<u8>, mobike_ike::crypto::AuthKeys, Vec<u8>)) {
        let (mut engine, now) = engine();
        let path = path("192.0.2.7");
        let pair = Ephemeral::generate(KeMethod::X25519, &mut SeededRandom::new([3; 32])).unwrap();
        let flags = Flags { initiator: true, ..Flags::default() };
        let request = init(&Header::new(0xabcd, 0, ExchangeType::IKE_SA_INIT, flags, 0), &pair);
        engine.handle_datagram(now, path, &mut request.clone());
        let mut events = Vec::new();
        let sent = drain(&mut engine, &mut events);
        let answer = Message::parse(&sent[0].1).unwrap();
        let spis = Spis { initiator: 0xabcd, responder: answer.header.responder_spi };
        let (channel, auth, nonce) = keys(Role::Initiator, &pair, &answer, spis);
        let script =
            Script { engine, now, events, path, channel, next_id: 1, inbox: Vec::new(), last_sent: (path, Vec::new()) };
        (script, (request, auth, nonce))
    }

    /// The engine connects to the scripted peer; `more` adds to its IKE_AUTH answer.
    pub fn as_responder(more: impl FnOnce(&mut SkWriter)) -> Script {
        let (mut engine, now) = engine();
        let path = path("192.0.2.7");
        let natt = NattPorts { local: 4500, remote: 4500 };
        let order =
            Command::Connect { token: Token(1), profile: ProfileId(1), paths: vec![path], natt, redirected_from: None };
        engine.handle_command(now, order);
        let mut events = Vec::new();
        let sent = drain(&mut engine, &mut events);
        let request = Message::parse(&sent[0].1).unwrap();
        let spis = Spis { initiator: request.header.initiator_spi, responder: 0xdcba };
        let pair = Ephemeral::generate(KeMethod::X25519, &mut SeededRandom::new([4; 32])).unwrap();
        let flags = Flags { response: true, ..Flags::default() };
        let answer = init(&Header::new(spis.initiator, spis.responder, ExchangeType::IKE_SA_INIT, flags, 0), &pair);
        let (channel, auth, nonce) = keys(Role::Responder, &pair, &request, spis);
        engine.handle_datagram(now, path, &mut answer.clone());
        let inbox = drain(&mut engine, &mut events);
        let mut script =
            Script { engine, now, events, path, channel, next_id: 0, inbox, last_sent: (path, Vec::new()) };
        script.answer(|writer| {
            authenticate(writer, Role::Responder, &auth, &answer, &nonce);
            more(writer);
        });
        script
    }

    pub fn sa(&self) -> SaId {
        let up = self.events.iter().find_map(|event| match event {
            Event::IkeSaUp(up) => Some(up.sa),
            _ => None,
        });
        up.unwrap_or_else(|| panic!("no IKE SA: {:?}", self.events))
    }

    pub fn order(&mut self, command: Command) {
        self.engine.handle_command(self.now, command);
        self.take();
    }

    pub fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.engine.handle_timeout(self.now);
        self.take();
    }

    fn take(&mut self) {
        let sent = drain(&mut self.engine, &mut self.events);
        self.inbox.extend(sent);
    }

    fn send(&mut self, path: Path, message: Outgoing, fill: impl FnOnce(&mut SkWriter)) {
        let bytes = self.channel.seal(&mut Vec::new(), message, fill).unwrap();
        self.deliver(path, bytes.to_vec());
    }

    fn deliver(&mut self, path: Path, bytes: Vec<u8>) {
        self.engine.handle_datagram(self.now, path, &mut bytes.clone());
        self.last_sent = (path, bytes);
        self.take();
    }

    /// The last message once more, the same octets.
    pub fn repeat(&mut self) {
        let (path, bytes) = self.last_sent.clone();
        self.deliver(path, bytes);
    }

    /// Before IKE_AUTH.
    pub fn half_open() -> Script {
        Script::before_auth().0
    }

    /// A request whose one payload is unknown and critical.
    pub fn request_critical(&mut self, exchange: ExchangeType, kind: PayloadType) {
        let keys = self.channel.keys();
        let Spis { initiator, responder } = self.channel.spis;
        let flags = Flags { initiator: true, ..Flags::default() };
        let header = Header::new(initiator, responder, exchange, flags, self.next_id);
        let cipher = keys.cipher();
        let sizes = SkSizes { iv: cipher.iv_len(), icv: cipher.icv_len(), block: cipher.block_len() };
        let unknown = Payload::Unknown { kind, body: b"must be understood" };
        let mut unsealed = SkWriter::new(&header, sizes).payload(&unknown).finish().unwrap();
        let parts = unsealed.parts();
        parts.body[1] |= 0x80;
        let mut counter = IvCounter::starting_at(1 << 40);
        keys.seal_in_place(self.channel.role, &mut counter, parts.aad, parts.iv, parts.body, parts.icv).unwrap();
        self.next_id += 1;
        self.deliver(self.path, unsealed.into_message());
    }

    /// A request of the scripted peer over the usual path.
    pub fn request(&mut self, exchange: ExchangeType, fill: impl FnOnce(&mut SkWriter)) {
        self.request_over(self.path, exchange, fill);
    }

    /// The same over another.
    pub fn request_over(&mut self, path: Path, exchange: ExchangeType, fill: impl FnOnce(&mut SkWriter)) {
        let id = self.next_id;
        self.next_id += 1;
        self.send(path, Outgoing { exchange, id, response: false }, fill);
    }

    /// Answer the engine's oldest request that waits in the inbox.
    pub fn answer(&mut self, fill: impl FnOnce(&mut SkWriter)) {
        let index = self.inbox.iter().position(|(_, bytes)| bytes[19] & 0x20 == 0).expect("a request");
        let (path, bytes) = self.inbox.remove(index);
        let header = Header::parse(&bytes).unwrap();
        let message = Outgoing { exchange: header.exchange, id: header.message_id, response: true };
        self.send(path, message, fill);
    }

    /// Look at the newest message from the engine.
    pub fn newest<T>(&mut self, look: impl FnOnce(Path, &Header, &Payloads<'_>) -> T) -> T {
        let (path, mut bytes) = self.inbox.last().expect("a message").clone();
        let opened = self.channel.open(&Room::default(), &mut bytes).expect("it is sealed for us");
        look(path, &opened.header, &opened.payloads().expect("it can be read"))
    }

    /// Notifications of the newest message from the engine.
    pub fn notified(&mut self) -> Vec<(NotifyType, Vec<u8>)> {
        self.newest(|_, _, payloads| payloads.notifies().map(|notify| (notify.kind, notify.data.to_vec())).collect())
    }

    /// The keys of a Child SA from a later exchange with these nonces.
    pub fn child_keys(&self, nonce_i: &[u8], nonce_r: &[u8]) -> ChildKeys {
        let nonces = Nonces::new(nonce_i, nonce_r).unwrap();
        ChildKeys::derive(self.channel.keys().sk_d(), &"aes128gcm16".parse().unwrap(), &nonces, &[]).unwrap()
    }

    /// Messages of the engine that nobody answered or looked at.
    pub fn waiting(&self) -> usize {
        self.inbox.len()
    }
}
