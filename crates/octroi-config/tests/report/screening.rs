//! Who neither pays nor is paid.

use crate::report;

#[test]
fn addresses_and_files_of_addresses_are_checked() {
    assert_eq!(
        report(
            r#"
[screening]
addresses = ["0x5555555555555555555555555555555555555555", "0x55"]
file = "lines.txt"
"#
        ),
        r#"
error: "0x55" is not an EVM address: expected 0x followed by 40 hex digits
 --> octroi.toml:3:60 (screening.addresses)
  |
3 | addresses = ["0x5555555555555555555555555555555555555555", "0x55"]
  |                                                            ^^^^^^

error: "lines.txt" has no EVM address on line 1, line 2
 --> octroi.toml:4:8 (screening.file)
  |
4 | file = "lines.txt"
  |        ^^^^^^^^^^^
  = help: a line is 0x and 40 hex digits, a comment after #, both or neither

octroi.toml: 2 errors, no warnings
"#
    );
    assert_eq!(
        report("\n[screening]\nfile = \"nowhere.txt\"\n"),
        r#"
error: cannot read "nowhere.txt": there is no such file
 --> octroi.toml:3:8 (screening.file)
  |
3 | file = "nowhere.txt"
  |        ^^^^^^^^^^^^^
  = help: file names start at the directory of the configuration file

octroi.toml: 1 error, no warnings
"#
    );
    assert_eq!(
        report("\n[screening]\nfile = \"empty.key\"\n"),
        r#"
warning: "empty.key" names nobody
 --> octroi.toml:3:8 (screening.file)
  |
3 | file = "empty.key"
  |        ^^^^^^^^^^^

octroi.toml: no errors, 1 warning
"#
    );
}

#[test]
fn the_lines_of_a_wrong_file_are_counted_and_not_shown() {
    let key = report("[screening]\nfile = \"wallet.key\"");
    assert!(
        key.contains("\"wallet.key\" has no EVM address on line 1\n"),
        "{key}"
    );
    let many = report("[screening]\nfile = \"numbers.txt\"");
    assert!(many.contains(" line 19, line 20 and 10 more\n"), "{many}");
    assert!(!many.contains("line 21"), "{many}");
}

#[test]
fn nobody_who_is_denied_is_paid() {
    assert_eq!(
        report(
            r#"
[tenant]
pay_to = "0x5555555555555555555555555555555555555555"

[screening]
addresses = "0x00000000000000000000000000000000deadbeef"
file = "denied.txt"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[service]]
name = "api"
origin = "http://127.0.0.1:3000"
pay_to = "0x6666666666666666666666666666666666666666"

[[service.paywall]]
slug = "a"
price = "0.01"
pay_to = "0x1111111111111111111111111111111111111111"

[[service.paywall]]
slug = "b"
price = "0.01"
pay_to = "0x00000000000000000000000000000000DeaDBeef"

[[site]]
hosts = ["a.example"]
public_url = "https://a.example"
origin = "http://127.0.0.1:3000"
pay_to = "0x5555555555555555555555555555555555555555"

[[site.route]]
pattern = "/*"
price = "0.01"
pay_to = "0x6666666666666666666666666666666666666666"
"#
        ),
        r#"
error: `pay_to` is an address that [screening] denies
 --> octroi.toml:3:10 (tenant.pay_to)
  |
3 | pay_to = "0x5555555555555555555555555555555555555555"
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `pay_to` is an address that [screening] denies
  --> octroi.toml:16:10 (service[0].pay_to)
   |
16 | pay_to = "0x6666666666666666666666666666666666666666"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `pay_to` is an address that [screening] denies
  --> octroi.toml:26:10 (service[0].paywall[1].pay_to)
   |
26 | pay_to = "0x00000000000000000000000000000000DeaDBeef"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `pay_to` is an address that [screening] denies
  --> octroi.toml:32:10 (site[0].pay_to)
   |
32 | pay_to = "0x5555555555555555555555555555555555555555"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: `pay_to` is an address that [screening] denies
  --> octroi.toml:37:10 (site[0].route[0].pay_to)
   |
37 | pay_to = "0x6666666666666666666666666666666666666666"
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

octroi.toml: 5 errors, no warnings
"#
    );
}
