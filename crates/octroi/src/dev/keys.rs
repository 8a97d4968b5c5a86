//! The keys of a development gate: made once, kept in its data folder, worth nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use octroi_types::Address;
use octroi_x402::address_of;
use secp256k1::SecretKey;

/// Settlement wallets of a development gate.
const WALLETS: usize = 2;

pub(crate) struct DevKeys {
    folder: PathBuf,
    buyer: SecretKey,
    seller: SecretKey,
    wallets: Vec<SecretKey>,
}

impl DevKeys {
    pub(crate) fn load_or_create(folder: &Path) -> anyhow::Result<Self> {
        let wallets = (0..WALLETS)
            .map(|index| key(&folder.join(wallet_file(index))))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            folder: folder.to_owned(),
            buyer: key(&folder.join("buyer.key"))?,
            seller: key(&folder.join("seller.key"))?,
            wallets,
        })
    }

    pub(crate) fn buyer_file(&self) -> PathBuf {
        self.folder.join("buyer.key")
    }

    pub(crate) fn buyer_address(&self) -> Address {
        address_of(&self.buyer)
    }

    pub(crate) fn seller_address(&self) -> Address {
        address_of(&self.seller)
    }

    pub(crate) fn wallet_addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.wallets.iter().map(address_of)
    }

    /// File names relative to the data folder, as items of a TOML array.
    pub(crate) fn wallet_files_toml(&self) -> String {
        (0..self.wallets.len())
            .map(|index| format!("\"{}\"", wallet_file(index)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn wallet_file(index: usize) -> String {
    format!("wallet-{index}.key")
}

fn key(path: &Path) -> anyhow::Result<SecretKey> {
    let shown = path.display();
    if path.exists() {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim().trim_start_matches("0x"), &mut bytes)
            .ok()
            .and_then(|()| SecretKey::from_byte_array(bytes).ok())
            .with_context(|| format!("{shown} is not a key; remove it to get a new one"))
    } else {
        let key = fresh_key()?;
        let text = format!("0x{}\n", hex::encode(key.secret_bytes()));
        write_private(path, text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
        Ok(key)
    }
}

fn fresh_key() -> anyhow::Result<SecretKey> {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        // All but about 2^-128 of the numbers are keys.
        if let Ok(key) = SecretKey::from_byte_array(bytes) {
            return Ok(key);
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
