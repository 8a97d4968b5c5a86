//! `[server]` and what is in it.

use crate::schema::Kind::{Choice, Flag, Integer, List, Text};
use crate::schema::{Section, Shape, default, optional, required};

pub(super) const SERVER: Section = Section {
    name: "server",
    shape: Shape::Table,
    doc: "Where the gate listens and under which names it answers. Plain HTTP is for loopback \
          addresses and for gates behind `trusted_proxies`; everything else needs TLS.",
    keys: &[&[
        default(
            "listen",
            List("an address like 127.0.0.1:8402"),
            "[\"127.0.0.1:8402\"]",
            "Addresses that buyers reach.",
        ),
        optional(
            "public_url",
            Text("a URL of scheme and host"),
            "`http://` and the first `listen` address",
            "Address that buyers use. Every offer names it; the `Host` of a request never does.",
        ),
        default(
            "aliases",
            List("a host name"),
            "[]",
            "More host names under which the gate answers.",
        ),
        default(
            "trusted_proxies",
            List("an address or network like 10.0.0.0/8"),
            "[]",
            "Reverse proxies in front of the gate: their word on client addresses and TLS is taken.",
        ),
        optional(
            "management_listen",
            Text("an address like 127.0.0.1:8403"),
            "served on `listen`",
            "Separate address for management, health and metrics.",
        ),
        default(
            "redirect_listen",
            List("an address like 0.0.0.0:80"),
            "[]",
            "Plain HTTP addresses that redirect to HTTPS and answer ACME challenges.",
        ),
        default(
            "drain_timeout_ms",
            Integer {
                min: 0,
                max: 600_000,
            },
            "30000",
            "How long running requests may take to finish at shutdown.",
        ),
    ]],
    inner: &[LIMITS, TLS, ACME],
};

const LIMITS: Section = Section {
    name: "limits",
    shape: Shape::Table,
    doc: "What one client may ask for.",
    keys: &[&[
        default(
            "connections_max",
            Integer {
                min: 1,
                max: 1_000_000,
            },
            "10000",
            "Open connections; more are closed at once.",
        ),
        default(
            "connections_per_address_max",
            Integer {
                min: 1,
                max: 1_000_000,
            },
            "1000",
            "Open connections of one IPv4 address or IPv6 /64 network.",
        ),
        default(
            "streams_per_connection_max",
            Integer {
                min: 1,
                max: 10_000,
            },
            "100",
            "Requests at a time on one HTTP/2 connection.",
        ),
        default(
            "header_bytes_max",
            Integer {
                min: 4_096,
                max: 1_048_576,
            },
            "16384",
            "Bytes of all header fields of a request.",
        ),
        default(
            "uri_bytes_max",
            Integer {
                min: 256,
                max: 65_536,
            },
            "8192",
            "Bytes of a request target.",
        ),
        default(
            "body_bytes_max",
            Integer {
                min: 0,
                max: 1_099_511_627_776,
            },
            "104857600",
            "Bytes of a request body.",
        ),
        default(
            "body_buffer_bytes",
            Integer {
                min: 0,
                max: 16_777_216,
            },
            "65536",
            "Bodies up to this are read and hashed before a payment is claimed; larger ones need `Content-Digest`.",
        ),
        default(
            "handshake_timeout_ms",
            Integer {
                min: 100,
                max: 600_000,
            },
            "10000",
            "From accept to the end of the TLS handshake or the first byte.",
        ),
        default(
            "header_read_timeout_ms",
            Integer {
                min: 100,
                max: 600_000,
            },
            "10000",
            "From the first byte of a request head to its last.",
        ),
        default(
            "body_read_timeout_ms",
            Integer {
                min: 100,
                max: 3_600_000,
            },
            "15000",
            "How long a client may pause within a request body.",
        ),
        default(
            "idle_timeout_ms",
            Integer {
                min: 100,
                max: 3_600_000,
            },
            "75000",
            "From an answer to the next request on the connection.",
        ),
        default(
            "stalled_timeout_ms",
            Integer {
                min: 100,
                max: 3_600_000,
            },
            "60000",
            "How long a client may leave an answer unread.",
        ),
    ]],
    inner: &[],
};

const TLS: Section = Section {
    name: "tls",
    shape: Shape::List,
    doc: "A certificate from files, shown for the DNS names inside it; clients that name no host, or another one, see the first. They are read again when they change.",
    keys: &[&[
        required(
            "cert_file",
            Text("a file name"),
            "Certificate chain in PEM, leaf first.",
        ),
        required("key_file", Text("a file name"), "Private key in PEM."),
    ]],
    inner: &[],
};

const ACME: Section = Section {
    name: "acme",
    shape: Shape::Table,
    doc: "Certificates from an ACME authority such as Let's Encrypt. Present means on.",
    keys: &[&[
        default(
            "directory_url",
            Text("an https URL"),
            "\"https://acme-v02.api.letsencrypt.org/directory\"",
            "The authority.",
        ),
        default(
            "terms_agreed",
            Flag,
            "false",
            "Whether you agree to the authority's terms of service; must be true.",
        ),
        default(
            "contact",
            List("an e-mail address"),
            "[]",
            "Whom the authority writes to.",
        ),
        default(
            "hosts",
            List("a host name"),
            "[]",
            "Names to get certificates for; none means every host of the gate and its sites.",
        ),
        default(
            "storage_dir",
            Text("a directory name"),
            "\"acme\"",
            "Where keys and certificates are kept.",
        ),
        default(
            "challenge",
            Choice(&["tls-alpn-01", "http-01"]),
            "\"tls-alpn-01\"",
            "How control over a name is shown; `http-01` needs `server.redirect_listen` on port 80.",
        ),
        optional(
            "authority_file",
            Text("a file name"),
            "public roots",
            "Root certificate of a private authority, in PEM.",
        ),
    ]],
    inner: &[],
};
