//! The network: latency, cables, black holes, NATs, and what stories do to single messages.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use mobike_ike::wire::{ExchangeType, NotifyType};
use mobike_ike::{Nanos, Path};

use super::arrows::Told;
use super::host::HostId;
use super::nat::Nat;

/// What lies between the hosts.
#[derive(Default)]
pub struct Net {
    latency: Vec<(HostId, Duration)>,
    unplugged: Vec<IpAddr>,
    holes: Vec<(IpAddr, IpAddr)>,
    /// A firewall lets no datagram pass, and tells nobody.
    pub no_udp: bool,
    /// NATs, first match.
    pub nats: Vec<Nat>,
    plans: Vec<(Which, Fate)>,
    script: VecDeque<Option<Fate>>,
}

/// What happens to a message that a [`Which`] names.
pub enum Fate {
    /// It never arrives.
    Lose,
    /// It arrives twice: in time, and so much later.
    Twice(Duration),
    /// It arrives so much later.
    Late(Duration),
    /// It arrives with other octets.
    Rewrite(Rewrite),
    /// It seems to come from elsewhere.
    From(SocketAddr),
}

/// Changes octets.
pub type Rewrite = Box<dyn Fn(&mut Vec<u8>)>;

type Predicate = Box<dyn Fn(&Told) -> bool>;

/// Names messages: by default the first one that fits.
pub struct Which {
    from: HostId,
    exchange: Option<(ExchangeType, bool)>,
    id: Option<u32>,
    ends: (Option<IpAddr>, Option<IpAddr>),
    that: Option<Predicate>,
    skip: u32,
    times: u32,
}

impl Which {
    /// Any message of this host.
    pub fn of(from: HostId) -> Which {
        Which { from, exchange: None, id: None, ends: (None, None), that: None, skip: 0, times: 1 }
    }

    /// Requests of this exchange.
    pub fn request(mut self, exchange: ExchangeType) -> Which {
        self.exchange = Some((exchange, false));
        self
    }

    /// Answers of this exchange.
    pub fn answer(mut self, exchange: ExchangeType) -> Which {
        self.exchange = Some((exchange, true));
        self
    }

    /// With this message id.
    pub fn id(mut self, id: u32) -> Which {
        self.id = Some(id);
        self
    }

    /// Leaving from this address of the sender.
    pub fn leaving(mut self, address: IpAddr) -> Which {
        self.ends.0 = Some(address);
        self
    }

    /// Sent to this address.
    pub fn to(mut self, address: IpAddr) -> Which {
        self.ends.1 = Some(address);
        self
    }

    /// With this notification inside.
    pub fn carrying(self, kind: NotifyType) -> Which {
        self.that(move |told| told.carries(kind))
    }

    /// Of which this holds.
    pub fn that(mut self, predicate: impl Fn(&Told) -> bool + 'static) -> Which {
        self.that = Some(Box::new(predicate));
        self
    }

    /// Not the first so many.
    pub fn after(mut self, skip: u32) -> Which {
        self.skip = skip;
        self
    }

    /// So many of them.
    pub fn times(mut self, times: u32) -> Which {
        self.times = times;
        self
    }

    /// All of them.
    pub fn always(self) -> Which {
        self.times(u32::MAX)
    }

    fn fits(&self, told: &Told) -> bool {
        let header = told.header();
        self.from == told.from
            && self.exchange.is_none_or(|(exchange, answer)| {
                header.is_some_and(|header| header.exchange == exchange && header.flags.response == answer)
            })
            && self.id.is_none_or(|id| header.is_some_and(|header| header.message_id == id))
            && self.ends.0.is_none_or(|address| address == told.path.local.ip())
            && self.ends.1.is_none_or(|address| address == told.path.remote.ip())
            && self.that.as_ref().is_none_or(|that| that(told))
    }

    /// Is it this one's turn? Counts.
    fn takes(&mut self, told: &Told) -> bool {
        if self.times == 0 || !self.fits(told) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.saturating_sub(u32::from(self.times != u32::MAX));
        true
    }
}

/// One copy of a message on its way.
#[derive(Debug, Clone)]
pub struct Copy {
    /// When it arrives.
    pub due: Nanos,
    /// Source and destination as its receiver will see them.
    pub source: SocketAddr,
    /// Where it goes; still to be translated inward by a NAT.
    pub destination: SocketAddr,
    /// Its octets.
    pub bytes: Vec<u8>,
}

/// A message without any special fate takes this long.
pub const LATENCY: Duration = Duration::from_millis(10);

impl Net {
    /// What this host sends takes this long.
    pub fn set_latency(&mut self, from: HostId, latency: Duration) {
        self.latency.retain(|(host, _)| *host != from);
        self.latency.push((from, latency));
    }

    /// Pull the cable of this address.
    pub fn unplug(&mut self, address: IpAddr) {
        self.unplugged.push(address);
    }

    /// Put it back.
    pub fn plug(&mut self, address: IpAddr) {
        self.unplugged.retain(|gone| *gone != address);
    }

    /// Swallow whatever goes from one address to the other; nobody is told.
    pub fn blackhole(&mut self, from: IpAddr, to: IpAddr) {
        self.holes.push((from, to));
    }

    /// Swallow both directions.
    pub fn blackhole_both(&mut self, one: IpAddr, other: IpAddr) {
        self.holes.extend([(one, other), (other, one)]);
    }

    /// Let everything through again.
    pub fn heal(&mut self) {
        self.holes.clear();
        self.unplugged.clear();
    }

    /// Something is to happen to a message. Of several plans that fit, the first still open is used.
    pub fn plan(&mut self, which: Which, fate: Fate) {
        self.plans.push((which, fate));
    }

    /// Lose those whose bit is set, the first message's the lowest.
    pub fn lose_those(&mut self, bits: u64, messages: impl Iterator<Item = Which>) {
        messages.enumerate().filter(|(nth, _)| bits >> nth & 1 == 1).for_each(|(_, which)| self.lose(which));
    }

    /// Lose it.
    pub fn lose(&mut self, which: Which) {
        self.plan(which, Fate::Lose);
    }

    /// The fates of the next messages in order, whoever sends them; after plans.
    pub fn script(&mut self, fates: impl IntoIterator<Item = Option<Fate>>) {
        self.script.extend(fates);
    }

    /// Forget all plans.
    pub fn no_more_plans(&mut self) {
        self.plans.clear();
        self.script.clear();
    }

    /// A message leaves: the copies that travel, or why none does.
    pub fn carry(&mut self, told: &Told) -> Result<Vec<Copy>, &'static str> {
        let Path { local, remote, .. } = told.path;
        if self.unplugged.contains(&local.ip()) {
            return Err("cable pulled at the sender");
        }
        let latency = self.latency.iter().find(|(host, _)| *host == told.from).map_or(LATENCY, |(_, latency)| *latency);
        let source = self.nats.iter_mut().find_map(|nat| nat.translate(told.at, local)).unwrap_or(local);
        let copy = Copy { due: told.at + latency, source, destination: remote, bytes: told.bytes.clone() };
        let fate = self.plans.iter_mut().find_map(|(which, fate)| which.takes(told).then_some(&*fate));
        let scripted = if fate.is_none() { self.script.pop_front().flatten() } else { None };
        let copies = fated(copy, fate.or(scripted.as_ref()))?;
        if self.no_udp {
            return Err("no UDP passes");
        }
        if self.holes.contains(&(local.ip(), remote.ip())) {
            return Err("black hole");
        }
        Ok(copies)
    }

    /// A copy arrives: where, or why it does not.
    pub fn arrive(&self, now: Nanos, copy: &Copy) -> Result<SocketAddr, &'static str> {
        let nat = self.nats.iter().find(|nat| nat.outside == copy.destination.ip());
        let destination = match nat {
            Some(nat) => nat.inward(now, copy.destination).ok_or("no mapping at the NAT")?,
            None => copy.destination,
        };
        if self.unplugged.contains(&destination.ip()) {
            return Err("cable pulled at the receiver");
        }
        Ok(destination)
    }
}

fn fated(mut copy: Copy, fate: Option<&Fate>) -> Result<Vec<Copy>, &'static str> {
    match fate {
        None => {}
        Some(Fate::Lose) => return Err("story"),
        Some(Fate::Twice(later)) => {
            let second = Copy { due: copy.due + *later, ..copy.clone() };
            return Ok(vec![copy, second]);
        }
        Some(Fate::Late(late)) => copy.due = copy.due + *late,
        Some(Fate::Rewrite(rewrite)) => rewrite(&mut copy.bytes),
        Some(Fate::From(source)) => copy.source = *source,
    }
    Ok(vec![copy])
}
