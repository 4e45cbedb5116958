//! What many fields are made of.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::id::{Generation, Identity, SaId};
use crate::park::{Damage, Parked, Reader, Writer};
use crate::{Path, Transport};

macro_rules! number {
    ($($number:ty)+) => {$(
        impl Parked for $number {
            fn park(&self, to: &mut Writer) {
                to.octets(&self.to_be_bytes());
            }

            fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
                let octets = from.octets(size_of::<$number>(), stringify!($number))?;
                octets.try_into().map(<$number>::from_be_bytes).map_err(|_| from.damage(stringify!($number)))
            }
        }
    )+};
}

number!(u8 u16 u32 u64 u128);

impl Parked for bool {
    fn park(&self, to: &mut Writer) {
        to.put(&u8::from(*self));
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        match from.get()? {
            0u8 => Ok(false),
            1 => Ok(true),
            _ => Err(from.damage("truth value")),
        }
    }
}

impl<T: Parked> Parked for Option<T> {
    fn park(&self, to: &mut Writer) {
        to.put(&self.is_some());
        if let Some(value) = self {
            to.put(value);
        }
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        from.get::<bool>()?.then(|| from.get()).transpose()
    }
}

impl<T: Parked> Parked for Arc<[T]> {
    fn park(&self, to: &mut Writer) {
        to.each(self.iter());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        from.each(Reader::get).map(Arc::from)
    }
}

impl Parked for Arc<str> {
    fn park(&self, to: &mut Writer) {
        to.counted(self.as_bytes());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let octets = from.counted("text")?;
        core::str::from_utf8(octets).map(Arc::from).map_err(|_| from.damage("text"))
    }
}

impl Parked for IpAddr {
    fn park(&self, to: &mut Writer) {
        match self {
            IpAddr::V4(address) => (4u8.park(to), address.to_bits().park(to)),
            IpAddr::V6(address) => (6u8.park(to), address.to_bits().park(to)),
        };
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let family = from.get()?;
        address_of(family, from)
    }
}

fn address_of(family: u8, from: &mut Reader<'_>) -> Result<IpAddr, Damage> {
    match family {
        4 => from.get().map(Ipv4Addr::from_bits).map(IpAddr::V4),
        6 => from.get().map(Ipv6Addr::from_bits).map(IpAddr::V6),
        _ => Err(from.damage("address")),
    }
}

impl Parked for SocketAddr {
    fn park(&self, to: &mut Writer) {
        to.put(&self.ip());
        to.put(&self.port());
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(SocketAddr::new(from.get()?, from.get()?))
    }
}

/// Stands in front of a stream's path. One of datagrams begins with the family of its address, as before there were streams.
const STREAM: u8 = 0x54;

impl Parked for Path {
    fn park(&self, to: &mut Writer) {
        let Path { local, remote, transport } = self;
        if *transport == Transport::Tcp {
            to.put(&STREAM);
        }
        to.put(local);
        to.put(remote);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        match from.get()? {
            STREAM => Ok(Path::tcp(from.get()?, from.get()?)),
            family => {
                let local = SocketAddr::new(address_of(family, from)?, from.get()?);
                Ok(Path::udp(local, from.get()?))
            }
        }
    }
}

impl Parked for Generation {
    fn park(&self, to: &mut Writer) {
        to.put(&self.0);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        from.get().map(Generation)
    }
}

impl Parked for SaId {
    fn park(&self, to: &mut Writer) {
        to.put(&self.0);
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        from.get().map(SaId)
    }
}

impl Parked for Identity {
    fn park(&self, to: &mut Writer) {
        to.put(&self.kind());
        self.with_data(|data| to.counted(data));
    }

    fn unpark(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Identity::from_wire(from.get()?, from.counted("identity")?))
    }
}
