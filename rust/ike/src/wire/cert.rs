//! Certificate and Certificate Request (RFC 7296 sections 3.6 and 3.7).
//!
//! ```text
//! | Encoding      | certificate or authorities ...
//! ```

use super::cursor::{Reader, Result, Writer};
use super::error::Part;
use super::numbers::CertEncoding;

/// A CERT payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// What `data` is.
    pub encoding: CertEncoding,
    /// The certificate, or where it is.
    pub data: &'a [u8],
}

/// A CERTREQ payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateRequest<'a> {
    /// The encoding that is asked for.
    pub encoding: CertEncoding,
    /// The trust anchors, in the form that belongs to the encoding.
    pub data: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let encoding = CertEncoding(reader.u8(Part::Certificate)?);
        Ok(Certificate { encoding, data: reader.rest() })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u8(self.encoding.0);
        writer.bytes(self.data);
    }
}

impl<'a> CertificateRequest<'a> {
    /// The SHA-1 hashes of the trusted authorities' public keys, which is what `data` is for X.509 encodings.
    #[must_use]
    pub fn authorities(&self) -> &'a [[u8; 20]] {
        self.data.as_chunks().0
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let encoding = CertEncoding(reader.u8(Part::CertificateRequest)?);
        Ok(CertificateRequest { encoding, data: reader.rest() })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u8(self.encoding.0);
        writer.bytes(self.data);
    }
}
