//! Opens what engines sealed, and seals what they would not say: with the keys of an IKE SA in hand.

use mobike_ike::crypto::{DirectionKeys, IvCounter, PayloadCipher, Role, Spis};
use mobike_ike::wire::{ExchangeType, Flags, Header, NotifyType, Payload, SkSizes, SkWriter, parse_chain, sk};
use mobike_ike::{IkeSaUp, SaId};

use super::host::Host;

/// No engine in a story seals so many messages: IVs from here on are ours.
const OUR_IVS: u64 = 1 << 40;

/// Holds the keys of one IKE SA.
#[derive(Debug)]
pub struct Forger {
    /// Both SPIs.
    pub spis: Spis,
    cipher: PayloadCipher,
    keys: [DirectionKeys; 2],
    iv: IvCounter,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Its payloads by name: `AUTH`, `N(COOKIE2)`.
    pub payloads: Vec<String>,
    /// Its notifications.
    pub notifies: Vec<(NotifyType, Vec<u8>)>,
}

impl Contents {
    /// The data of the first notification of this kind.
    pub fn notify(&self, kind: NotifyType) -> Option<&[u8]> {
        self.notifies.iter().find(|(known, _)| *known == kind).map(|(_, data)| data.as_slice())
    }

    /// Is there such a notification?
    pub fn has(&self, kind: NotifyType) -> bool {
        self.notify(kind).is_some()
    }

    fn of<'a>(payloads: impl Iterator<Item = &'a Payload<'a>>) -> Contents {
        let mut contents = Contents::default();
        for payload in payloads {
            if let Payload::Notify(notify) = payload {
                contents.notifies.push((notify.kind, notify.data.to_vec()));
                contents.payloads.push(format!("N({})", notify.kind));
            } else {
                contents.payloads.push(payload.kind().to_string());
            }
        }
        contents
    }
}

/// The header of a forged message.
#[derive(Debug, Clone, Copy)]
pub struct Forged {
    /// Whose message it pretends to be: the initiator's or the responder's of the IKE SA.
    pub sender: Role,
    /// The exchange.
    pub exchange: ExchangeType,
    /// The message id.
    pub id: u32,
    /// An answer.
    pub response: bool,
}

impl Forger {
    /// With the keys that an engine exports for its SA.
    pub fn new(host: &Host, sa: SaId) -> Option<Forger> {
        let up: &IkeSaUp = host.ups().into_iter().find(|up| up.sa == sa)?;
        let (spis, suite) =
            host.rekeys().last().copied().unwrap_or((Spis { initiator: up.spi_i, responder: up.spi_r }, up.suite));
        let line = host.engine.export_keys(sa)?;
        let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
        let key = |encr: &str, integ: &str| {
            let integ = (!integ.is_empty()).then(|| unhex(integ));
            DirectionKeys::from_slices(&unhex(encr), integ.as_deref()).expect("keys of the right length")
        };
        Some(Forger {
            spis,
            cipher: suite.cipher(),
            keys: [key(fields[2], fields[5]), key(fields[3], fields[6])],
            iv: IvCounter::starting_at(OUR_IVS),
        })
    }

    fn sizes(&self) -> SkSizes {
        SkSizes { iv: self.cipher.iv_len(), icv: self.cipher.icv_len(), block: self.cipher.block_len() }
    }

    fn keys(&self, sender: Role) -> &DirectionKeys {
        match sender {
            Role::Initiator => &self.keys[0],
            Role::Responder => &self.keys[1],
        }
    }

    /// What a sealed message of this IKE SA says.
    pub fn open(&self, bytes: &[u8]) -> Option<Contents> {
        let mut bytes = bytes.to_vec();
        let sealed = sk::open(&mut bytes, self.sizes()).ok()?;
        let sender = if sealed.header.flags.initiator { Role::Initiator } else { Role::Responder };
        let parts = sealed.parts;
        self.cipher.open_in_place(self.keys(sender), parts.aad, parts.iv, parts.body, parts.icv).ok()?;
        let offset = sealed.layout.body().start;
        let inner = sk::strip_padding(parts.body, offset).ok()?;
        let payloads = parse_chain(sealed.first, inner, offset).ok()?;
        Some(Contents::of(payloads.iter()))
    }

    /// A message that the other end will believe.
    pub fn seal(&mut self, forged: Forged, payloads: &[Payload<'_>]) -> Vec<u8> {
        let flags = Flags { initiator: forged.sender == Role::Initiator, version: false, response: forged.response };
        let header = Header::new(self.spis.initiator, self.spis.responder, forged.exchange, flags, forged.id);
        let mut writer = SkWriter::new(&header, self.sizes());
        payloads.iter().for_each(|payload| writer.push(payload));
        let mut message = writer.finish().expect("it fits");
        let keys = match forged.sender {
            Role::Initiator => &self.keys[0],
            Role::Responder => &self.keys[1],
        };
        let parts = message.parts();
        self.cipher.seal_in_place(keys, &mut self.iv, parts.aad, parts.iv, parts.body, parts.icv).expect("lengths fit");
        message.into_message()
    }
}

/// What a message in the clear says.
pub fn read_clear(bytes: &[u8]) -> Option<Contents> {
    let message = mobike_ike::wire::Message::parse(bytes).ok()?;
    Some(Contents::of(message.payloads.iter()))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}
