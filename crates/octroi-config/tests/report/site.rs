//! Sites and their routes.

use crate::report;

#[test]
fn hosts_belong_to_one_site() {
    assert_eq!(
        report(
            r#"
[server]
public_url = "https://pay.example.com"
trusted_proxies = ["127.0.0.1"]

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[site]]
hosts = ["pay.example.com", "news.example.com"]
origin = "http://127.0.0.1:8080"
public_url = "https://news.example.com/start"

[[site]]
hosts = ["NEWS.example.com."]
name = "pay.example.com"
origin = "http://127.0.0.1:8080"

[[site]]
hosts = []
origin = "http://127.0.0.1:8080"

[[site]]
hosts = ["shop.example.com:443"]
origin = "http://127.0.0.1:8080"
"#
        ),
        r#"
error: the host pay.example.com belongs to the gate itself (server.public_url, server.aliases) already
  --> octroi.toml:11:10 (site[0].hosts)
   |
11 | hosts = ["pay.example.com", "news.example.com"]
   |          ^^^^^^^^^^^^^^^^^

error: "https://news.example.com/start" is not a URL of scheme and host: nothing may follow the host
  --> octroi.toml:13:14 (site[0].public_url)
   |
13 | public_url = "https://news.example.com/start"
   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: the host news.example.com belongs to site[0] already
  --> octroi.toml:16:10 (site[1].hosts)
   |
16 | hosts = ["NEWS.example.com."]
   |          ^^^^^^^^^^^^^^^^^^^

error: site[0] is called "pay.example.com" too
  --> octroi.toml:17:8 (site[1].name)
   |
17 | name = "pay.example.com"
   |        ^^^^^^^^^^^^^^^^^

error: `hosts` is empty
  --> octroi.toml:21:9 (site[2].hosts)
   |
21 | hosts = []
   |         ^^

error: "shop.example.com:443" is not a host name: leave the port out
  --> octroi.toml:25:10 (site[3].hosts)
   |
25 | hosts = ["shop.example.com:443"]
   |          ^^^^^^^^^^^^^^^^^^^^^^

octroi.toml: 6 errors, no warnings
"#
    );
}

#[test]
fn routes_say_one_thing() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[site]]
hosts = ["news.example.com"]
origin = "http://127.0.0.1:8080"

[[site.route]]
pattern = "/a*"
price = "0.01"
free = true

[[site.route]]
pattern = "/b"

[[site.route]]
pattern = "/c/**/d"
deny = true
"#
        ),
        r#"
error: a route is priced, free or denied, and only one of them
  --> octroi.toml:13:1 (site[0].route[0])
   |
13 | [[site.route]]
   | ^^^^^^^^^^^^^^

error: "/a*" is not a pattern: * stands for a whole segment; `a*` mixes it with text
  --> octroi.toml:14:11 (site[0].route[0].pattern)
   |
14 | pattern = "/a*"
   |           ^^^^^

error: this route does not say what it costs
  --> octroi.toml:18:1 (site[0].route[1])
   |
18 | [[site.route]]
   | ^^^^^^^^^^^^^^
   = help: set price = "$0.01", free = true or deny = true

error: "/c/**/d" is not a pattern: ** stands at the end of a pattern only
  --> octroi.toml:22:11 (site[0].route[2].pattern)
   |
22 | pattern = "/c/**/d"
   |           ^^^^^^^^^

octroi.toml: 4 errors, no warnings
"#
    );
}

#[test]
fn routes_do_not_overlap() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[site]]
hosts = ["news.example.com"]
origin = "http://127.0.0.1:8080"

[[site.route]]
pattern = "/x/:id"
price = "0.01"

[[site.route]]
pattern = "/X/:name/"
deny = true

[[site.route]]
pattern = "/X/*"
slug = "x-id"
price = "0.01"

[[site.route]]
pattern = "/x/:id"
methods = ["GET"]
price = "0.02"
"#
        ),
        r#"
error: the same requests match site[0].route[0]
  --> octroi.toml:18:11 (site[0].route[1].pattern)
   |
18 | pattern = "/X/:name/"
   |           ^^^^^^^^^^^
   = help: give them different patterns or methods

error: this site has two routes called "x-id"
  --> octroi.toml:23:8 (site[0].route[2].slug)
   |
23 | slug = "x-id"
   |        ^^^^^^
   = help: give one of them another slug

octroi.toml: 2 errors, no warnings
"#
    );
}
