//! A cipher with the domain its IVs come from, as qcow v1 and qcow2 use it.

use std::fmt;

use crate::base::{GuestOffset, HostOffset, IvSector};
use crate::crypto::cipher::SharedCipher;

/// Where the sector number of an IV comes from (iv-domains §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Guest,
    Host,
}

/// How the payload of a qcow or qcow2 image is encrypted. Chosen once, at open.
#[derive(Clone)]
pub struct Encryption {
    cipher: SharedCipher,
    domain: Domain,
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// The domain that was asked for.
#[cfg(not(test))]
const fn chosen(domain: Domain) -> Domain {
    domain
}

/// The domain that was asked for, or in a mutant the other one.
#[cfg(test)]
fn chosen(domain: Domain) -> Domain {
    match (mutant::is_on(), domain) {
        (false, domain) => domain,
        (true, Domain::Guest) => Domain::Host,
        (true, Domain::Host) => Domain::Guest,
    }
}

impl Encryption {
    /// Legacy AES: IVs from the guest sector.
    pub fn legacy_aes(cipher: SharedCipher) -> Self {
        Self {
            cipher,
            domain: chosen(Domain::Guest),
        }
    }

    /// LUKS inside qcow2: IVs from the sector of the file.
    pub fn luks(cipher: SharedCipher) -> Self {
        Self {
            cipher,
            domain: chosen(Domain::Host),
        }
    }

    fn first_sector(&self, guest: GuestOffset, host: HostOffset) -> IvSector {
        #[cfg(feature = "mutants")]
        if super::mutants::takes_the_other_domain(self.domain == Domain::Host, host) {
            return match self.domain {
                Domain::Guest => IvSector::from_host(host),
                Domain::Host => IvSector::from_guest(guest),
            };
        }
        match self.domain {
            Domain::Guest => IvSector::from_guest(guest),
            Domain::Host => IvSector::from_host(host),
        }
    }

    /// Encrypts a run of whole sectors that belongs at `guest` and will be stored at `host`.
    pub fn encrypt(&self, guest: GuestOffset, host: HostOffset, data: &mut [u8]) {
        self.cipher.encrypt(self.first_sector(guest, host), data);
    }

    /// Decrypts a run of whole sectors read from `host`, which belongs at `guest`.
    pub fn decrypt(&self, guest: GuestOffset, host: HostOffset, data: &mut [u8]) {
        self.cipher.decrypt(self.first_sector(guest, host), data);
    }
}

/// A mutant for the tests of the tests: LUKS takes the guest sector, legacy AES the host sector.
#[cfg(test)]
pub(in crate::driver) mod mutant {
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn is_on() -> bool {
        ON.get()
    }

    /// What this thread opens in `work` is a mutant, if `on`.
    pub(in crate::driver) fn in_mutant<T>(on: bool, work: impl FnOnce() -> T) -> T {
        ON.set(on);
        let outcome = work();
        ON.set(false);
        outcome
    }
}
