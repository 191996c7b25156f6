//! TPM marshalling: big-endian numbers and buffers with a two-byte size in front (TPM2B; TPM 2.0 Part 2, clause 4 and 10.4).

use super::TpmError;

/// Reads from the front of a buffer; every read is checked.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TpmError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(TpmError::Sizes)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*head))
    }

    pub(super) fn u32(&mut self) -> Result<u32, TpmError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(TpmError::Sizes)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*head))
    }

    /// The content of a TPM2B.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], TpmError> {
        let size = usize::from(self.u16()?);
        let (head, rest) = self.0.split_at_checked(size).ok_or(TpmError::Sizes)?;
        self.0 = rest;
        Ok(head)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), TpmError> {
        if self.0.is_empty() { Ok(()) } else { Err(TpmError::Sizes) }
    }
}

/// Appends a TPM2B. Fails above 65535 bytes, which nothing here comes near.
pub(super) fn put_sized(out: &mut Vec<u8>, content: &[u8]) -> Result<(), TpmError> {
    let size = u16::try_from(content.len()).map_err(|_| TpmError::SecretTooLong)?;
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(content);
    Ok(())
}

/// A TPM2B.
pub(super) fn sized(content: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut out = Vec::with_capacity(content.len().saturating_add(2));
    put_sized(&mut out, content)?;
    Ok(out)
}
