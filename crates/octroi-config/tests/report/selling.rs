//! Services, paywalls and prices.

use crate::report;

#[test]
fn services_are_checked() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "My API"
origin = "http://user:pass@127.0.0.1:3000"

[[service]]
name = "api"
origin = "http://127.0.0.1:3000/?x"

[[service.paywall]]
slug = "a"
price = "0.01"

[[service]]
name = "api"
origin = "ftp://127.0.0.1"
"#
        ),
        r#"
warning: this service sells nothing
 --> octroi.toml:9:1 (service[0])
  |
9 | [[service]]
  | ^^^^^^^^^^^
  = help: add [[service.paywall]]

error: "My API" is not a slug: 1 to 50 small letters, digits, dots, hyphens and underscores
  --> octroi.toml:10:8 (service[0].name)
   |
10 | name = "My API"
   |        ^^^^^^^^

error: `origin` is not an http or https URL: the host contains user information
  --> octroi.toml:11:10 (service[0].origin)
   |
11 | origin = "*******************************"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: the value may hold a secret and is not shown; secrets are kept in files of their own

error: `origin` is not an http or https URL: the path contains a query or a fragment delimiter
  --> octroi.toml:15:10 (service[1].origin)
   |
15 | origin = "************************"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: the value may hold a secret and is not shown; secrets are kept in files of their own

warning: this service sells nothing
  --> octroi.toml:21:1 (service[2])
   |
21 | [[service]]
   | ^^^^^^^^^^^
   = help: add [[service.paywall]]

error: service[1] is called "api" too
  --> octroi.toml:22:8 (service[2].name)
   |
22 | name = "api"
   |        ^^^^^

error: "ftp://127.0.0.1" is not an http or https URL: it begins with http:// or https://
  --> octroi.toml:23:10 (service[2].origin)
   |
23 | origin = "ftp://127.0.0.1"
   |          ^^^^^^^^^^^^^^^^^

octroi.toml: 5 errors, 2 warnings
"#
    );
}

#[test]
fn networks_of_a_service_exist_and_do_not_mix() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[network.base-sepolia]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "mixed"
origin = "http://127.0.0.1:3000"

[[service.paywall]]
slug = "a"
price = "0.01"

[[service]]
name = "named"
origin = "http://127.0.0.1:3000"
networks = ["base-sepola", "polygon", "solana", "base", "base"]

[[service.paywall]]
slug = "a"
price = "0.01"
networks = ["base-sepolia"]

[[service.paywall]]
slug = "b"
price = "0.01"
networks = []
"#
        ),
        r#"
error: test and live networks cannot be mixed
  --> octroi.toml:13:1 (service[0].networks)
   |
13 | [[service]]
   | ^^^^^^^^^^^
   = help: name networks of one mode in `networks`

error: there is no [network.base-sepola]
  --> octroi.toml:24:13 (service[1].networks)
   |
24 | networks = ["base-sepola", "polygon", "solana", "base", "base"]
   |             ^^^^^^^^^^^^^
   = help: did you mean `base-sepolia`?

error: there is no [network.polygon]
  --> octroi.toml:24:28 (service[1].networks)
   |
24 | networks = ["base-sepola", "polygon", "solana", "base", "base"]
   |                            ^^^^^^^^^
   = help: add [network.polygon] with its rpc_urls

error: there is no [network.solana]
  --> octroi.toml:24:39 (service[1].networks)
   |
24 | networks = ["base-sepola", "polygon", "solana", "base", "base"]
   |                                       ^^^^^^^^
   = help: configured are: base, base-sepolia

error: `base` is listed twice
  --> octroi.toml:24:57 (service[1].networks)
   |
24 | networks = ["base-sepola", "polygon", "solana", "base", "base"]
   |                                                         ^^^^^^

error: test and live networks cannot be mixed in one service or site
  --> octroi.toml:29:12 (service[1].paywall[0].networks)
   |
29 | networks = ["base-sepolia"]
   |            ^^^^^^^^^^^^^^^^

error: `networks` is empty
  --> octroi.toml:34:12 (service[1].paywall[1].networks)
   |
34 | networks = []
   |            ^^

octroi.toml: 7 errors, no warnings
"#
    );
}

#[test]
fn paywalls_are_checked() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "api"
origin = "http://127.0.0.1:3000"
timeout_ms = 300000

[[service.paywall]]
slug = "a"
price = 0.01

[[service.paywall]]
slug = "a"
prise = "0.01"
max_timeout_seconds = 330

[[service.paywall]]
slug = ".."
price = "1"
methods = ["GET", "P OST"]
path = "/a/..%2fb"
settle = "before"
max_timeout_seconds = 330
"#
        ),
        r#"
error: a payment is valid for 300 s, and the origin may take 300 s and its settlement 30 s
  --> octroi.toml:14:1 (service[0].paywall[0].max_timeout_seconds)
   |
14 | [[service.paywall]]
   | ^^^^^^^^^^^^^^^^^^^
   = help: set max_timeout_seconds to 330 or more

error: `price` is a text in quotes, not a fraction
  --> octroi.toml:16:9 (service[0].paywall[0].price)
   |
16 | price = 0.01
   |         ^^^^
   = help: write price = "0.01"

error: this service has two paywalls called "a"
  --> octroi.toml:19:8 (service[0].paywall[1].slug)
   |
19 | slug = "a"
   |        ^^^

error: [[service.paywall]] has no `prise`
  --> octroi.toml:20:1 (service[0].paywall[1].prise)
   |
20 | prise = "****"
   | ^^^^^
   = help: did you mean `price`?

error: ".." is not a slug: dots alone mean a directory
  --> octroi.toml:24:8 (service[0].paywall[2].slug)
   |
24 | slug = ".."
   |        ^^^^

error: "P OST" is not a method
  --> octroi.toml:26:19 (service[0].paywall[2].methods)
   |
26 | methods = ["GET", "P OST"]
   |                   ^^^^^^^

error: "/a/..%2fb" is not a path: the path hides a dot segment
  --> octroi.toml:27:8 (service[0].paywall[2].path)
   |
27 | path = "/a/..%2fb"
   |        ^^^^^^^^^^^

error: `settle` is "response_head" or "before_origin"; did you mean "before_origin"?
  --> octroi.toml:28:10 (service[0].paywall[2].settle)
   |
28 | settle = "before"
   |          ^^^^^^^^

octroi.toml: 8 errors, no warnings
"#
    );
}

#[test]
fn prices_are_checked() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "api"
origin = "http://127.0.0.1:3000"

[[service.paywall]]
slug = "fine"
price = "$0.0000001"

[[service.paywall]]
slug = "zero"
price = "0"

[[service.paywall]]
slug = "finest"
price = "0.0000000001"

[[service.paywall]]
slug = "euro"
price = "0,01 EUR"

[[service.paywall]]
slug = "large"
price = "99999999999999"
"#
        ),
        r#"
error: $0.0000001 cannot be paid in USDC on `base`: the price has more than 6 decimals, which cannot be charged exactly
  --> octroi.toml:15:9 (service[0].paywall[0].price)
   |
15 | price = "$0.0000001"
   |         ^^^^^^^^^^^^

error: "0" is not a price: a price is more than zero; leave it out for a free route
  --> octroi.toml:19:9 (service[0].paywall[1].price)
   |
19 | price = "0"
   |         ^^^

error: "0.0000000001" is not a price: the price has more than 9 decimals, which cannot be charged exactly
  --> octroi.toml:23:9 (service[0].paywall[2].price)
   |
23 | price = "0.0000000001"
   |         ^^^^^^^^^^^^^^

error: "0,01 EUR" is not a price: a price is a decimal number of US dollars, like 0.01 or $0.01
  --> octroi.toml:27:9 (service[0].paywall[3].price)
   |
27 | price = "0,01 EUR"
   |         ^^^^^^^^^^

error: "99999999999999" is not a price: the price is larger than can be booked
  --> octroi.toml:31:9 (service[0].paywall[4].price)
   |
31 | price = "99999999999999"
   |         ^^^^^^^^^^^^^^^^

octroi.toml: 5 errors, no warnings
"#
    );
}

#[test]
fn somebody_must_be_paid_on_some_network() {
    assert_eq!(
        report(
            r#"
[[service]]
name = "api"
origin = "http://127.0.0.1:3000"

[[service.paywall]]
slug = "a"
price = "0.01"
"#
        ),
        r#"
error: no network is configured to be paid on
 --> octroi.toml:2:1 (service[0])
  |
2 | [[service]]
  | ^^^^^^^^^^^
  = help: add [network.base-sepolia], with play money, or [network.base]

error: nobody is named to be paid for [[service.paywall]]
 --> octroi.toml:6:1 (service[0].paywall[0].pay_to)
  |
6 | [[service.paywall]]
  | ^^^^^^^^^^^^^^^^^^^
  = help: set pay_to in [tenant] to the address of your wallet

octroi.toml: 2 errors, no warnings
"#
    );
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x0000000000000000000000000000000000000000"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "api"
origin = "http://127.0.0.1:3000"

[[service.paywall]]
slug = "a"
price = "0.01"
"#
        ),
        r#"
error: `pay_to` is still the placeholder; nobody would be paid
 --> octroi.toml:3:10 (tenant.pay_to)
  |
3 | pay_to = "0x0000000000000000000000000000000000000000"
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: set pay_to to the address of your wallet

octroi.toml: 1 error, no warnings
"#
    );
}

#[test]
fn upstream_credentials_are_checked() {
    assert_eq!(
        report(
            r#"
[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "a"
origin = "http://127.0.0.1:3000"
auth = { bearer = "hunter2hunter2" }
paywall = []

[[service]]
name = "b"
origin = "http://127.0.0.1:3000"
auth = { bearer_file = "token.txt", header = "X-Key" }

[[service]]
name = "c"
origin = "http://127.0.0.1:3000"
auth = { header = "Content-Length", value_file = "lines.txt" }
"#
        ),
        r#"
warning: this service sells nothing
 --> octroi.toml:6:1 (service[0])
  |
6 | [[service]]
  | ^^^^^^^^^^^
  = help: add [[service.paywall]]

error: [service.auth] has no `bearer`
 --> octroi.toml:9:10 (service[0].auth.bearer)
  |
9 | auth = { ****** = "**************" }
  |          ^^^^^^
  = help: did you mean `bearer_file`?

warning: this service sells nothing
  --> octroi.toml:12:1 (service[1])
   |
12 | [[service]]
   | ^^^^^^^^^^^
   = help: add [[service.paywall]]

error: [service.auth] does not say one thing
  --> octroi.toml:15:1 (service[1].auth)
   |
15 | auth = { bearer_file = "token.txt", header = "X-Key" }
   | ^^^^
   = help: set bearer_file, or header and value_file, or query and value_file

warning: this service sells nothing
  --> octroi.toml:17:1 (service[2])
   |
17 | [[service]]
   | ^^^^^^^^^^^
   = help: add [[service.paywall]]

error: "Content-Length" is not a header name: the gate sets or removes it itself
  --> octroi.toml:20:19 (service[2].auth.header)
   |
20 | auth = { header = "Content-Length", value_file = "lines.txt" }
   |                   ^^^^^^^^^^^^^^^^

error: the file holds more than one line of visible ASCII
  --> octroi.toml:20:50 (service[2].auth.value_file)
   |
20 | auth = { header = "Content-Length", value_file = "lines.txt" }
   |                                                  ^^^^^^^^^^^

octroi.toml: 4 errors, 3 warnings
"#
    );
}
