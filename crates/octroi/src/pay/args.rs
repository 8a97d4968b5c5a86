//! The arguments of `octroi pay`.

use std::path::PathBuf;

use clap::Args;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};
use octroi_egress::Target;
use octroi_types::{Address, Price};
use octroi_x402::header::{is_payment_credential, is_payment_header};

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi pay http://127.0.0.1:8402/api/x402/pay/demo/today
  octroi pay --dry-run https://api.example.com/report
  octroi pay --network base --max 0.02 --key-file buyer.key https://api.example.com/report
  octroi pay -d @question.json -H 'Content-Type: application/json' https://api.example.com/ask
  octroi pay --json https://api.example.com/report | jq '{status, receipt}'

The first request carries no payment. If it is answered with 402, the cheapest terms on the first
allowed network are signed, once, and the request is repeated with them. What comes back goes to
standard output as it arrives; price and receipt go to standard error. Redirects are not followed,
and a payment is never signed twice: while its settlement is not known, the same payment is sent
again.

The key is that of --key-file, else of OCTROI_BUYER_KEY (hex), else of ./octroi-dev/buyer.key if
the URL is on this machine.

Exit codes:
   0  paid and answered, or free
   1  the answer could not be written
   2  wrong arguments, or no key
   3  refused by the limits; nothing was paid
   4  the payment was refused by the server
   5  the settlement is not known yet
   6  network error
  22  the server answered with an HTTP error")]
pub(crate) struct PayArgs {
    /// What to buy
    #[arg(value_name = "URL", value_parser = parse_url)]
    pub(crate) url: Uri,

    /// Method; default GET, or POST with --data
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = parse_method)]
    pub(crate) method: Option<Method>,
    /// Request body as it is; @FILE reads a file, @- standard input
    #[arg(short, long, value_name = "DATA", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// Request header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,

    /// The most that may be paid, in US dollars
    #[arg(long, value_name = "AMOUNT", default_value = "0.10", value_parser = parse_max)]
    #[arg(help_heading = "Payment")]
    pub(crate) max: Price,
    /// Pay on this network only, by name or CAIP-2; may be repeated, the preferred one first
    /// [default: the local network of `octroi dev` and every known test network]
    #[arg(long = "network", value_name = "NETWORK", help_heading = "Payment")]
    pub(crate) networks: Vec<String>,
    /// Allow every known live network: real money
    #[arg(long, help_heading = "Payment")]
    pub(crate) live: bool,
    /// Pay with this token only [default: the network's USDC]
    #[arg(long, value_name = "ADDRESS", help_heading = "Payment")]
    pub(crate) asset: Option<Address>,
    /// Decimals of --asset, if it is not a known token; one whole token counts as one dollar
    #[arg(long, value_name = "N", requires = "asset", help_heading = "Payment")]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=36))]
    pub(crate) decimals: Option<u8>,
    /// Pay even if the server says that the payment is for another resource
    #[arg(long, help_heading = "Payment")]
    pub(crate) allow_resource_mismatch: bool,
    /// File with the buyer's private key, 64 hex digits
    #[arg(long, value_name = "FILE", help_heading = "Payment")]
    pub(crate) key_file: Option<PathBuf>,
    /// Show the terms and what would be signed; pay nothing
    #[arg(long, help_heading = "Payment")]
    pub(crate) dry_run: bool,

    /// Print one JSON object instead of the content
    #[arg(long, conflicts_with = "include", help_heading = "Output")]
    pub(crate) json: bool,
    /// Write the content to a file
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Print the response head before the content
    #[arg(short, long, help_heading = "Output")]
    pub(crate) include: bool,
    /// Show requests and response heads on standard error, without secrets
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Longest wait for a response head, and between two parts of a body, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "60",
        help_heading = "Connection"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) timeout: u32,
    /// How often the same payment is sent again while its settlement is not known
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        help_heading = "Connection"
    )]
    pub(crate) retries: u32,
    /// Also trust the certificate authorities of this PEM file
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(crate) ca_file: Option<PathBuf>,
}

fn parse_url(text: &str) -> Result<Uri, String> {
    let example = "write it like https://api.example.com/report";
    let uri: Uri = text.parse().map_err(|_| example.to_owned())?;
    Target::from_uri(&uri).map_err(|error| format!("{error}; {example}"))?;
    Ok(uri)
}

fn parse_method(text: &str) -> Result<Method, &'static str> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) | Err(_) => Err("not a method that can be sent"),
        Ok(method) => Ok(method),
    }
}

/// Reads `Name: value`. Errors never repeat the value, which may be a credential.
fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = text
        .split_once(':')
        .ok_or("write it like 'Accept: text/plain'")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "not a header name")?;
    let mut value =
        HeaderValue::from_str(value.trim()).map_err(|_| "the value has control characters")?;
    let is_credential =
        name == http::header::AUTHORIZATION && is_payment_credential(value.as_bytes());
    if is_payment_header(name.as_str()) || is_credential {
        return Err("payment headers are made by octroi pay itself");
    }
    value.set_sensitive(is_secret(&name));
    Ok((name, value))
}

/// Whether a header's value is not shown.
fn is_secret(name: &HeaderName) -> bool {
    use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name)
        || ["key", "token", "secret"]
            .iter()
            .any(|word| name.as_str().contains(word))
}

fn parse_max(text: &str) -> Result<Price, &'static str> {
    text.parse()
        .map_err(|_| "an amount of US dollars above zero, like 0.10")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_secrets_marked() {
        let (name, value) = parse_header("Accept:text/plain ").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("accept", &b"text/plain"[..])
        );
        assert!(!value.is_sensitive());
        for secret in ["Authorization: Bearer x", "X-Api-Key: x", "cookie: a=b"] {
            assert!(parse_header(secret).unwrap().1.is_sensitive(), "{secret}");
        }
        for refused in [
            "no colon",
            "bad name: x",
            "X-Payment: x",
            "PAYMENT-SIGNATURE: x",
            "Authorization: Payment abc",
            "a: b\r\nc: d",
        ] {
            assert!(parse_header(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn urls_are_absolute() {
        assert!(parse_url("http://127.0.0.1:8402/a?b").is_ok());
        for refused in ["127.0.0.1:8402/a", "/a", "ftp://a/b", "http://u:p@a/b", ""] {
            assert!(parse_url(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn limits_are_dollars_above_zero() {
        assert_eq!(parse_max("$0.10").unwrap().nano_usd(), 100_000_000);
        for refused in ["0", "-1", "1e3", "ten", "0.0000000001"] {
            assert!(parse_max(refused).is_err(), "{refused}");
        }
    }
}
