use super::super::real_tools::{Scratch, qemu_img, qemu_io};
use super::*;
use crate::base::iv_sector::IvSector;
use crate::base::{Kind, PayloadOffset};
use crate::crypto::{CipherAlgorithm, CipherMode, HashAlgorithm, IvAlgorithm};

fn reader(bytes: &[u8]) -> impl Fn(u64, &mut [u8]) -> Result<()> {
    move |offset, buffer| {
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        for (to, from) in buffer
            .iter_mut()
            .zip(bytes[start..].iter().chain(std::iter::repeat(&0)))
        {
            *to = *from;
        }
        Ok(())
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// cipher-alg, cipher-mode, ivgen-alg, ivgen-hash-alg, hash-alg; empty is the default.
const COMBINATIONS: [[&str; 5]; 20] = [
    ["", "", "", "", ""],
    ["aes-128", "xts", "plain64", "", "sha1"],
    ["aes-192", "xts", "plain", "", "sha512"],
    ["aes-256", "xts", "essiv", "sha256", "sha256"],
    ["aes-128", "cbc", "essiv", "sha256", "sha1"],
    ["aes-128", "cbc", "essiv", "md5", "md5"],
    ["aes-256", "cbc", "plain", "", "sha224"],
    ["aes-256", "cbc", "plain64", "sha1", "sha384"],
    ["aes-256", "cbc", "essiv", "sm3", "sm3"],
    ["aes-128", "ctr", "plain64", "", "ripemd160"],
    ["aes-256", "ecb", "plain64", "", "sha256"],
    ["serpent-128", "xts", "plain64", "", "sha256"],
    ["serpent-192", "xts", "plain64", "", "sha1"],
    ["serpent-256", "cbc", "essiv", "sha256", "sha512"],
    ["twofish-128", "cbc", "plain64", "", "sha1"],
    ["twofish-192", "xts", "essiv", "md5", "sha1"],
    ["twofish-256", "xts", "plain64", "", "sha256"],
    ["cast5-128", "cbc", "essiv", "md5", "sha1"],
    ["cast5-128", "ctr", "plain64", "", "sha1"],
    ["cast5-128", "ecb", "plain", "", "sha256"],
];

const NAMES: [&str; 5] = [
    "cipher-alg",
    "cipher-mode",
    "ivgen-alg",
    "ivgen-hash-alg",
    "hash-alg",
];

fn given(combination: [&'static str; 5]) -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES
        .into_iter()
        .zip(combination)
        .filter(|(_, value)| !value.is_empty())
}

/// The real tool measures PBKDF2 for seconds at every create, so this is one combination of each kind.
#[test]
fn the_real_tools_volumes_are_unlocked_and_read() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    for combination in [0, 4, 13, 17].map(|index| COMBINATIONS[index]) {
        let mut options = vec!["key-secret=s".to_owned(), "iter-time=0".to_owned()];
        options.extend(given(combination).map(|(name, value)| format!("{name}={value}")));
        let options = options.join(",");
        let file = scratch.path("real.luks");
        let object = "secret,id=s,data=a password";
        qemu_img(&[
            "create", "-q", "-f", "luks", "--object", object, "-o", &options, &file, "1M",
        ]);
        let image = format!("driver=luks,file.filename={file},key-secret=s");
        qemu_io(&[
            "--object",
            object,
            "-c",
            "write -P 0x5a 3k 70k",
            "--image-opts",
            &image,
        ]);
        let bytes = std::fs::read(&file).unwrap();
        let read = reader(&bytes);
        let volume = open_volume(
            &read,
            Some(&secret("a password")),
            &UnlockOptions::default(),
        )
        .unwrap_or_else(|error| panic!("{combination:?}: {error}"));
        let mut data = vec![0; 70 << 10];
        read(volume.payload_offset() + (3 << 10), &mut data).unwrap();
        let first = IvSector::from_payload(PayloadOffset::new(3 << 10));
        volume.cipher.decrypt(first, &mut data);
        assert!(data.iter().all(|byte| *byte == 0x5a), "{combination:?}");
        let wrong = open_volume(&read, Some(&secret("another")), &UnlockOptions::default());
        let error = wrong.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid password, cannot unlock any keyslot"
        );
        assert_eq!(error.kind(), Kind::Key);
    }
}

#[test]
fn the_real_tools_read_our_volumes() {
    let Some(scratch) = Scratch::with_real_tools() else {
        return;
    };
    for combination in COMBINATIONS {
        let mut options = LuksCreateOptions {
            iter_time_ms: 0,
            ..LuksCreateOptions::default()
        };
        for (name, value) in given(combination) {
            assert!(options.set(name, value, "").unwrap());
        }
        let size = usize::try_from(plan_volume(&options).unwrap()).unwrap();
        let mut bytes = vec![0; size + (1 << 20)];
        let mut write = |offset: u64, data: &[u8]| {
            let start = usize::try_from(offset).unwrap();
            assert!(
                start + data.len() <= size,
                "key material behind the header area"
            );
            bytes[start..start + data.len()].copy_from_slice(data);
            Ok(())
        };
        let key = secret("a password");
        let volume = create_volume(&options, &key, None, &mut write).unwrap();
        let start = IvSector::from_payload(PayloadOffset::ZERO);
        bytes[size..].fill(0xa7);
        volume.cipher.encrypt(start, &mut bytes[size..]);
        let file = scratch.path("ours.luks");
        std::fs::write(&file, &bytes).unwrap();
        let image = format!("driver=luks,file.filename={file},key-secret=s");
        let object = "secret,id=s,data=a password";
        let said = qemu_io(&[
            "--object",
            object,
            "-c",
            "read -P 0xa7 0 1M",
            "--image-opts",
            &image,
        ]);
        assert!(
            said.contains("read 1048576/1048576"),
            "{combination:?}: {said}"
        );
        assert!(!said.contains("Pattern"), "{combination:?}: {said}");
        assert_eq!(
            (options.cipher_algorithm.key_bytes() * options.cipher_mode.key_count()) as u64,
            u64::from(volume.header.key_bytes)
        );
    }
}

/// The first slot that opens wins: one behind it that would take hours is not tried.
#[test]
fn slots_are_tried_in_their_order() {
    const SLOT_0: usize = 208;
    const SLOT_7: usize = SLOT_0 + 7 * 48;
    let options = LuksCreateOptions {
        cipher_algorithm: CipherAlgorithm::Aes128,
        iter_time_ms: 0,
        ..LuksCreateOptions::default()
    };
    let mut bytes = vec![0; usize::try_from(plan_volume(&options).unwrap()).unwrap()];
    let mut write = |offset: u64, data: &[u8]| {
        let start = usize::try_from(offset).unwrap();
        bytes[start..start + data.len()].copy_from_slice(data);
        Ok(())
    };
    let key = secret("a password");
    create_volume(&options, &key, None, &mut write).unwrap();
    let open = |bytes: &[u8]| {
        open_volume(&reader(bytes), Some(&key), &UnlockOptions::default()).map(|_| ())
    };
    // Enabled, with more iterations than anybody waits for.
    bytes.copy_within(SLOT_0..SLOT_0 + 4, SLOT_7);
    bytes[SLOT_7 + 4..SLOT_7 + 8].fill(0xff);
    open(&bytes).unwrap();
    // In front of the slot that opens, the same is in the way.
    let too_many = bytes[SLOT_7..SLOT_7 + 8].to_vec();
    bytes[SLOT_0..SLOT_0 + 8].copy_from_slice(&too_many);
    let error = open(&bytes).unwrap_err().to_string();
    assert!(error.contains("4294967295"), "{error}");
}

#[test]
fn impossible_volumes_are_refused_before_anything_is_written() {
    let mut options = LuksCreateOptions {
        cipher_algorithm: CipherAlgorithm::Aes192,
        cipher_mode: CipherMode::Cbc,
        ..LuksCreateOptions::default()
    };
    let error = plan_volume(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    options.cipher_algorithm = CipherAlgorithm::Aes256;
    options.iv_algorithm = IvAlgorithm::Essiv;
    options.iv_hash = Some(HashAlgorithm::Sha1);
    let error = plan_volume(&options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "No AES cipher with key size 20 available"
    );
    options.cipher_algorithm = CipherAlgorithm::Cast5;
    let error = plan_volume(&options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Cipher cast5-128 not supported with essiv"
    );
    options.cipher_mode = CipherMode::Xts;
    options.iv_algorithm = IvAlgorithm::Plain64;
    let error = plan_volume(&options).unwrap_err();
    assert_eq!(error.to_string(), "Unsupported cipher mode xts");
}
