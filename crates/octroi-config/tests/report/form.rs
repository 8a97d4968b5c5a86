//! The form of the file: syntax, keys, types.

use crate::report;

#[test]
fn syntax_errors_are_reported_together() {
    assert_eq!(
        report(
            r#"
[server
listen = "127.0.0.1:1"

[tenant]
name = unquoted_Secret
name = "b"

[log]
level =
leval = "info"
"#
        ),
        r#"
error: not TOML: unclosed table, expected `]`
 --> octroi.toml:2:8
  |
2 | [server
  |        ^

error: not TOML: string values must be quoted
 --> octroi.toml:6:8
  |
6 | name = ***************
  |        ^^^^^^^^^^^^^^^

error: not TOML: duplicate key
 --> octroi.toml:7:1
  |
7 | name = "*"
  | ^^^^

error: not TOML: string values must be quoted
  --> octroi.toml:10:8
   |
10 | level =
   |        ^

error: [log] has no `leval`
  --> octroi.toml:11:1 (log.leval)
   |
11 | leval = "****"
   | ^^^^^
   = help: did you mean `level`?

octroi.toml: 5 errors, no warnings
"#
    );
    assert_eq!(
        report(
            r#"
[log]
level = "info
format = "text" "json"
"#
        ),
        r#"
error: not TOML: invalid basic string, expected `"`
 --> octroi.toml:3:14
  |
3 | level = "****
  |              ^

error: not TOML: unexpected key or value, expected newline, `#`
 --> octroi.toml:4:17
  |
4 | format = "****" "****"
  |                 ^

octroi.toml: 2 errors, no warnings
"#
    );
}

#[test]
fn sections_in_the_wrong_form_are_explained() {
    assert_eq!(
        report(
            r#"
[service]
name = "x"

[network]
rpc_urls = ["https://rpc.example"]

[[log]]
level = "info"
"#
        ),
        r#"
error: `service` is written in the wrong form
 --> octroi.toml:2:2 (service)
  |
2 | [service]
  |  ^^^^^^^
  = help: write [[service]], with two brackets

error: `network` is written in the wrong form
 --> octroi.toml:5:2 (network)
  |
5 | [network]
  |  ^^^^^^^
  = help: write [network.NAME] and put `rpc_urls` below it

error: `log` is written in the wrong form
 --> octroi.toml:8:3 (log)
  |
8 | [[log]]
  |   ^^^
  = help: write [log] and its keys below

octroi.toml: 3 errors, no warnings
"#
    );
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    assert_eq!(
        report(
            r#"
lisen = ["127.0.0.1:8402"]

[server]
lisen = ["127.0.0.1:8402"]
drain_timeout = 5
zzz = 1

[server.limits]
public_url = "https://pay.example.com"

[sever]
listen = ["127.0.0.1:8402"]
"#
        ),
        r#"
error: the file has no `lisen`
 --> octroi.toml:2:1 (lisen)
  |
2 | lisen = ["**************"]
  | ^^^^^
  = help: there is `listen` in [server]

error: [server] has no `lisen`
 --> octroi.toml:5:1 (server.lisen)
  |
5 | lisen = ["**************"]
  | ^^^^^
  = help: did you mean `listen`?

error: [server] has no `drain_timeout`
 --> octroi.toml:6:1 (server.drain_timeout)
  |
6 | drain_timeout = *
  | ^^^^^^^^^^^^^
  = help: did you mean `drain_timeout_ms`?

error: [server] has no `zzz`
 --> octroi.toml:7:1 (server.zzz)
  |
7 | zzz = *
  | ^^^

error: [server.limits] has no `public_url`
  --> octroi.toml:10:1 (server.limits.public_url)
   |
10 | public_url = "***********************"
   | ^^^^^^^^^^
   = help: there is `public_url` in [server]

error: the file has no `sever`
  --> octroi.toml:12:2 (sever)
   |
12 | [sever]
   |  ^^^^^
   = help: did you mean `server`?

octroi.toml: 6 errors, no warnings
"#
    );
}

#[test]
fn wrong_types_and_ranges_are_explained() {
    assert_eq!(
        report(
            r#"
[server]
listen = [8402]
management_listen = 8403
drain_timeout_ms = "30s"

[server.limits]
headers = { max = 3 }
uri_bytes_max = 99999999
connections_max = -1
body_bytes_max = 99999999999999999999
idle_timeout_ms = 1.5

[log]
level = "inof"
format = true

[metrics]
enabled = "yes"
"#
        ),
        r#"
error: `listen` is a list of texts
 --> octroi.toml:3:10 (server.listen)
  |
3 | listen = [8402]
  |          ^^^^^^

error: `management_listen` is a text in quotes, not a number
 --> octroi.toml:4:21 (server.management_listen)
  |
4 | management_listen = 8403
  |                     ^^^^

error: `drain_timeout_ms` is a number from 0 to 600000, not a text
 --> octroi.toml:5:20 (server.drain_timeout_ms)
  |
5 | drain_timeout_ms = "30s"
  |                    ^^^^^

error: [server.limits] has no `headers`
 --> octroi.toml:8:1 (server.limits.headers)
  |
8 | headers = { *** = * }
  | ^^^^^^^

error: `uri_bytes_max` is a number from 256 to 65536
 --> octroi.toml:9:17 (server.limits.uri_bytes_max)
  |
9 | uri_bytes_max = 99999999
  |                 ^^^^^^^^

error: `connections_max` is a number from 1 to 1000000
  --> octroi.toml:10:19 (server.limits.connections_max)
   |
10 | connections_max = -1
   |                   ^^

error: `body_bytes_max` is a number from 0 to 1099511627776
  --> octroi.toml:11:18 (server.limits.body_bytes_max)
   |
11 | body_bytes_max = 99999999999999999999
   |                  ^^^^^^^^^^^^^^^^^^^^

error: `idle_timeout_ms` is a number from 100 to 3600000, not a fraction
  --> octroi.toml:12:19 (server.limits.idle_timeout_ms)
   |
12 | idle_timeout_ms = 1.5
   |                   ^^^

error: `level` is "error", "warn", "info", "debug" or "trace"; did you mean "info"?
  --> octroi.toml:15:9 (log.level)
   |
15 | level = "inof"
   |         ^^^^^^

error: `format` is "text" or "json", not true or false
  --> octroi.toml:16:10 (log.format)
   |
16 | format = true
   |          ^^^^

error: `enabled` is true or false, not a text
  --> octroi.toml:19:11 (metrics.enabled)
   |
19 | enabled = "yes"
   |           ^^^^^

octroi.toml: 11 errors, no warnings
"#
    );
}
