//! Listeners, names, certificates, the store, the facilitator.

use crate::report;

#[test]
fn addresses_and_names_of_the_server_are_checked() {
    assert_eq!(
        report(
            r#"
[server]
listen = ["localhost:8402", "127.0.0.1:8403"]
aliases = ["pay.example.com:443", "exa mple.com"]
public_url = "pay.example.com"
trusted_proxies = ["10.0.0.0/33", "proxy"]
management_listen = "127.0.0.1:8403"
"#
        ),
        r#"
error: "localhost:8402" is not an address like 127.0.0.1:8402
 --> octroi.toml:3:11 (server.listen)
  |
3 | listen = ["localhost:8402", "127.0.0.1:8403"]
  |           ^^^^^^^^^^^^^^^^

error: "pay.example.com:443" is not a host name: leave the port out
 --> octroi.toml:4:12 (server.aliases)
  |
4 | aliases = ["pay.example.com:443", "exa mple.com"]
  |            ^^^^^^^^^^^^^^^^^^^^^

error: "exa mple.com" is not a host name: the host is not a name of ASCII letters, digits and hyphens
 --> octroi.toml:4:35 (server.aliases)
  |
4 | aliases = ["pay.example.com:443", "exa mple.com"]
  |                                   ^^^^^^^^^^^^^^

error: "pay.example.com" is not a URL of scheme and host: it begins with http:// or https://
 --> octroi.toml:5:14 (server.public_url)
  |
5 | public_url = "pay.example.com"
  |              ^^^^^^^^^^^^^^^^^

error: "10.0.0.0/33" is not an address or network like 10.0.0.0/8
 --> octroi.toml:6:20 (server.trusted_proxies)
  |
6 | trusted_proxies = ["10.0.0.0/33", "proxy"]
  |                    ^^^^^^^^^^^^^

error: "proxy" is not an address or network like 10.0.0.0/8
 --> octroi.toml:6:35 (server.trusted_proxies)
  |
6 | trusted_proxies = ["10.0.0.0/33", "proxy"]
  |                                   ^^^^^^^

error: 127.0.0.1:8403 is listened on twice
 --> octroi.toml:7:21 (server.management_listen)
  |
7 | management_listen = "127.0.0.1:8403"
  |                     ^^^^^^^^^^^^^^^^

octroi.toml: 7 errors, no warnings
"#
    );
    assert_eq!(
        report(
            r#"
[server]
listen = []
"#
        ),
        r#"
error: `listen` is empty
 --> octroi.toml:3:10 (server.listen)
  |
3 | listen = []
  |          ^^

octroi.toml: 1 error, no warnings
"#
    );
}

#[test]
fn plain_http_stays_at_home() {
    assert_eq!(
        report(
            r#"
[server]
listen = ["0.0.0.0:8402"]
public_url = "http://pay.example.com"
management_listen = "192.0.2.1:9000"
redirect_listen = ["0.0.0.0:80"]
"#
        ),
        r#"
error: 0.0.0.0:8402 would be plain HTTP on a public address
 --> octroi.toml:3:11 (server.listen)
  |
3 | listen = ["0.0.0.0:8402"]
  |           ^^^^^^^^^^^^^^
  = help: add [[server.tls]] or [server.acme], or name your reverse proxies in `trusted_proxies`

error: buyers would pay at http://pay.example.com in plain text
 --> octroi.toml:4:14 (server.public_url)
  |
4 | public_url = "http://pay.example.com"
  |              ^^^^^^^^^^^^^^^^^^^^^^^^
  = help: use https://

error: 192.0.2.1:9000 would be plain HTTP on a public address
 --> octroi.toml:5:21 (server.management_listen)
  |
5 | management_listen = "192.0.2.1:9000"
  |                     ^^^^^^^^^^^^^^^^
  = help: add [[server.tls]] or [server.acme], or name your reverse proxies in `trusted_proxies`

error: there is no HTTPS to redirect to
 --> octroi.toml:6:20 (server.redirect_listen)
  |
6 | redirect_listen = ["0.0.0.0:80"]
  |                    ^^^^^^^^^^^^
  = help: add [[server.tls]] or [server.acme]

octroi.toml: 4 errors, no warnings
"#
    );
    assert_eq!(
        report(
            r#"
[server]
listen = ["0.0.0.0:8402"]
trusted_proxies = ["10.0.0.0/8"]
"#
        ),
        r#"
error: [server] is missing `public_url`
 --> octroi.toml:2:2 (server.public_url)
  |
2 | [server]
  |  ^^^^^^
  = help: buyers have to be told an address, like "https://pay.example.com"

octroi.toml: 1 error, no warnings
"#
    );
}

#[test]
fn certificates_are_checked() {
    assert_eq!(
        report(
            r#"
[server]
listen = ["0.0.0.0:443"]
management_listen = "127.0.0.1:8403"

[[server.tls]]
cert_file = "missing.pem"

[server.acme]
directory_url = "http://acme.example/directory"
contact = ["mailto:you@example.com"]
challenge = "http-01"
"#
        ),
        r#"
error: [server] is missing `public_url`
 --> octroi.toml:2:2 (server.public_url)
  |
2 | [server]
  |  ^^^^^^
  = help: buyers have to be told an address, like "https://pay.example.com"

error: [[server.tls]] is missing `key_file`
 --> octroi.toml:6:1 (server.tls[0].key_file)
  |
6 | [[server.tls]]
  | ^^^^^^^^^^^^^^
  = help: private key in PEM

error: cannot read "missing.pem": there is no such file
 --> octroi.toml:7:13 (server.tls[0].cert_file)
  |
7 | cert_file = "missing.pem"
  |             ^^^^^^^^^^^^^
  = help: file names start at the directory of the configuration file

error: the authority's terms of service are not agreed to
 --> octroi.toml:9:9 (server.acme.terms_agreed)
  |
9 | [server.acme]
  |         ^^^^
  = help: read them and set terms_agreed = true

error: "http://acme.example/directory" is not an https URL: it begins with https://
  --> octroi.toml:10:17 (server.acme.directory_url)
   |
10 | directory_url = "http://acme.example/directory"
   |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: "mailto:you@example.com" is not an e-mail address: write it like you@example.com
  --> octroi.toml:11:12 (server.acme.contact)
   |
11 | contact = ["mailto:you@example.com"]
   |            ^^^^^^^^^^^^^^^^^^^^^^^^

error: `http-01` is answered on plain HTTP, and there is no such listener
  --> octroi.toml:12:13 (server.acme.challenge)
   |
12 | challenge = "http-01"
   |             ^^^^^^^^^
   = help: set server.redirect_listen = ["0.0.0.0:80"]

octroi.toml: 7 errors, no warnings
"#
    );
    assert_eq!(
        report(
            r#"
[server]
listen = ["0.0.0.0:443"]
management_listen = "127.0.0.1:8403"
public_url = "https://192.0.2.1"

[server.acme]
terms_agreed = true
"#
        ),
        r#"
error: there is no public host name to get a certificate for
 --> octroi.toml:7:9 (server.acme.hosts)
  |
7 | [server.acme]
  |         ^^^^
  = help: set server.public_url to https:// and your host name

octroi.toml: 1 error, no warnings
"#
    );
}

#[test]
fn the_store_needs_a_directory() {
    assert_eq!(
        report(
            r#"
[store]
path = "nowhere/octroi.db"
"#
        ),
        r#"
error: the directory of "nowhere/octroi.db" does not exist
 --> octroi.toml:3:8 (store.path)
  |
3 | path = "nowhere/octroi.db"
  |        ^^^^^^^^^^^^^^^^^^^

octroi.toml: 1 error, no warnings
"#
    );
}

#[test]
fn the_facilitator_is_not_for_everybody() {
    assert_eq!(
        report(
            r#"
[facilitator]
enabled = true
token_sha256 = ["abc"]
"#
        ),
        r#"
error: the facilitator needs a network that settles with own wallets
 --> octroi.toml:3:11 (facilitator.enabled)
  |
3 | enabled = true
  |           ^^^^
  = help: set wallet_key_files or wallet_key_variables in a [network.NAME]

error: "abc" is not a SHA-256 of 64 hex digits
 --> octroi.toml:4:17 (facilitator.token_sha256)
  |
4 | token_sha256 = ["abc"]
  |                 ^^^^^

octroi.toml: 2 errors, no warnings
"#
    );
    assert_eq!(
        report(
            r#"
[facilitator]
enabled = true
"#
        ),
        r#"
error: the facilitator would settle for anybody
 --> octroi.toml:3:11 (facilitator.enabled)
  |
3 | enabled = true
  |           ^^^^
  = help: set token_files or token_sha256

error: the facilitator needs a network that settles with own wallets
 --> octroi.toml:3:11 (facilitator.enabled)
  |
3 | enabled = true
  |           ^^^^
  = help: set wallet_key_files or wallet_key_variables in a [network.NAME]

octroi.toml: 2 errors, no warnings
"#
    );
}

#[test]
fn metrics_are_not_for_everybody() {
    assert_eq!(
        report(
            r#"
[server]
listen = ["0.0.0.0:8402"]
public_url = "https://pay.example.com"
trusted_proxies = ["10.0.0.0/8"]
"#
        ),
        r#"
warning: everybody who reaches `listen` can read /metrics
 --> octroi.toml:3:10 (server.management_listen)
  |
3 | listen = ["0.0.0.0:8402"]
  |          ^^^^^^^^^^^^^^^^
  = help: set management_listen, or enabled = false in [metrics]

octroi.toml: no errors, 1 warning
"#
    );
}
