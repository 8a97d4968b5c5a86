//! A process that serves HTTP and says where.

use std::process::Command;

use anyhow::Result;

use crate::Process;

/// A running HTTP server.
#[derive(Debug)]
pub struct Service {
    /// The server's process.
    pub process: Process,
    url: String,
}

impl Service {
    /// Starts `command` and waits until it prints that it is listening on some `http://` address.
    ///
    /// # Errors
    /// When it does not start or does not say so.
    pub async fn start(name: &str, command: Command) -> Result<Self> {
        let process = Process::start(name, command)?;
        let url = process.line(listening_url).await?;
        Ok(Self { process, url })
    }

    /// The address that the server printed, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The address in a line such as "Server listening on http://127.0.0.1:4021". An address without scheme,
/// as some servers print it, is taken to be plain HTTP.
pub(crate) fn listening_url(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("istening")?;
    let start = rest.find("127.0.0.1:")?;
    let address: String = rest[start..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':'))
        .collect();
    Some(format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::listening_url;

    #[test]
    fn the_address_is_found_however_it_is_printed() {
        for line in [
            "Server listening on http://127.0.0.1:4021",
            "Listening on 127.0.0.1:4021",
            r#"{"message":"listening","url":"http://127.0.0.1:4021/"}"#,
        ] {
            assert_eq!(
                listening_url(line).unwrap(),
                "http://127.0.0.1:4021",
                "{line}"
            );
        }
        assert_eq!(listening_url("Chain ID 84532"), None);
        assert_eq!(listening_url("http://127.0.0.1:4021 is taken"), None);
    }
}
