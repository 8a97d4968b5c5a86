//! The buyer's private key: read from one place, shown nowhere.

use std::path::Path;
use std::{env, fs};

use octroi_policy::Host;
use octroi_types::{Address, Redacted};
use octroi_x402::address_of;
use secp256k1::SecretKey;
use zeroize::Zeroizing;

use super::args::PayArgs;
use super::error::PayError;
use crate::cli::DEV_FOLDER;

/// The variable that holds a key.
const VARIABLE: &str = "OCTROI_BUYER_KEY";

/// The test buyer's file in the folder of `octroi dev`.
const DEV_KEY_FILE: &str = "buyer.key";

/// A key and the account that it controls.
#[derive(Debug)]
pub(crate) struct BuyerKey {
    key: Redacted<SecretKey>,
    /// The account that pays.
    pub(crate) address: Address,
    /// Where the key came from.
    pub(crate) source: String,
}

impl BuyerKey {
    /// Finds the key: the named file, else the variable, else the test buyer's where the URL is on
    /// this machine.
    pub(crate) fn find(args: &PayArgs) -> Result<Option<Self>, PayError> {
        if let Some(file) = &args.key_file {
            return Self::read(file).map(Some);
        }
        if let Some(text) = env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
            let text = Zeroizing::new(text.to_string_lossy().into_owned());
            return Self::parse(&text, VARIABLE.to_owned()).map(Some);
        }
        let host = args
            .url
            .authority()
            .map_or("", |authority| authority.as_str());
        let file = Path::new(DEV_FOLDER).join(DEV_KEY_FILE);
        if Host::parse(host).is_ok_and(|host| host.is_loopback()) && file.is_file() {
            return Self::read(&file).map(Some);
        }
        Ok(None)
    }

    fn read(file: &Path) -> Result<Self, PayError> {
        let source = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| PayError::Usage {
            what: format!("the key file {source} cannot be read"),
            help: "",
            source: Some(error.into()),
        })?;
        Self::parse(&Zeroizing::new(text), source)
    }

    fn parse(text: &str, source: String) -> Result<Self, PayError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut bytes = Zeroizing::new([0; 32]);
        let key = hex::decode_to_slice(digits, bytes.as_mut_slice())
            .ok()
            .and_then(|()| SecretKey::from_byte_array(*bytes).ok());
        match key {
            Some(key) => Ok(Self {
                address: address_of(&key),
                key: Redacted::new(key),
                source,
            }),
            None => Err(PayError::usage(
                format!("{source} does not hold a private key"),
                "a key is 64 hex digits, with or without 0x",
            )),
        }
    }

    /// The key, for signing.
    pub(crate) const fn expose(&self) -> &SecretKey {
        self.key.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

    #[test]
    fn keys_are_read_in_both_spellings_and_never_shown() {
        for text in [KEY.to_owned(), format!("0x{KEY}\n"), format!("  {KEY}  ")] {
            let key = BuyerKey::parse(&text, "here".to_owned()).unwrap();
            assert_eq!(
                key.address.to_string(),
                "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
            );
            assert!(!format!("{key:?}").contains("4c0883"));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for text in ["", "0x12", &KEY[1..], &"0".repeat(64), &"f".repeat(64)] {
            let error = BuyerKey::parse(text, "here".to_owned()).unwrap_err();
            assert_eq!(error.exit(), 2);
            assert!(
                text.is_empty() || !format!("{error:?}").contains(text),
                "{text}"
            );
        }
    }
}
