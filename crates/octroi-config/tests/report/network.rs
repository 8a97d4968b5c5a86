//! Networks, assets and wallets.

use crate::report;

#[test]
fn networks_are_known_or_described() {
    assert_eq!(
        report(
            r#"
[network.base-sepola]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[network.base]
chain_id = 1
mode = "test"
rpc_urls = []
wallet_key_files = ["wallet.key"]

[network.polygon]
rpc_urls = ["wss://rpc.example/key"]
wallet_key_files = ["wallet.key"]

[network.mine]
chain_id = 137
mode = "live"
wallet_key_files = ["wallet.key"]
"#
        ),
        r#"
error: unknown network `base-sepola`
 --> octroi.toml:2:10 (network.base-sepola)
  |
2 | [network.base-sepola]
  |          ^^^^^^^^^^^
  = help: did you mean `base-sepolia`? A network of your own needs chain_id and mode

error: `base` is chain 8453
 --> octroi.toml:7:12 (network.base.chain_id)
  |
7 | chain_id = 1
  |            ^
  = help: leave chain_id out, or give another chain another name

error: chain 8453 (`base`) is a live network
 --> octroi.toml:8:8 (network.base.mode)
  |
8 | mode = "test"
  |        ^^^^^^

error: `rpc_urls` is empty
 --> octroi.toml:9:12 (network.base.rpc_urls)
  |
9 | rpc_urls = []
  |            ^^

error: `rpc_urls` is not an http or https URL: it begins with http:// or https://
  --> octroi.toml:13:13 (network.polygon.rpc_urls)
   |
13 | rpc_urls = ["*********************"]
   |             ^^^^^^^^^^^^^^^^^^^^^^^

error: [network.mine] is missing `rpc_urls`
  --> octroi.toml:16:10 (network.mine.rpc_urls)
   |
16 | [network.mine]
   |          ^^^^
   = help: JSON-RPC endpoints, the preferred one first. Needed with a facilitator too: the chain is the truth

error: [network.polygon] is the same chain (137)
  --> octroi.toml:16:10 (network.mine)
   |
16 | [network.mine]
   |          ^^^^

octroi.toml: 7 errors, no warnings
"#
    );
}

#[test]
fn somebody_settles_and_only_one() {
    assert_eq!(
        report(
            r#"
[network.polygon]
rpc_urls = ["https://rpc.example"]

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[network.base.facilitator]
bearer_file = "missing.txt"
"#
        ),
        r#"
error: nobody settles payments on `polygon`
 --> octroi.toml:2:10 (network.polygon)
  |
2 | [network.polygon]
  |          ^^^^^^^
  = help: set wallet_key_files, wallet_key_variables or [network.polygon.facilitator]

error: [network.base.facilitator] is missing `url`
 --> octroi.toml:9:15 (network.base.facilitator.url)
  |
9 | [network.base.facilitator]
  |               ^^^^^^^^^^^
  = help: its address, before `/verify` and `/settle`

error: both wallets and a facilitator settle on `base`
 --> octroi.toml:9:15 (network.base.facilitator)
  |
9 | [network.base.facilitator]
  |               ^^^^^^^^^^^
  = help: keep one of them

octroi.toml: 3 errors, no warnings
"#
    );
}

#[test]
fn assets_are_checked() {
    assert_eq!(
        report(
            r#"
[network.tempo]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]
multicall_address = "0x12"

[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]

[[network.base.asset]]
address = "0x1111111111111111111111111111111111111111"
decimals = 19

[[network.base.asset]]
address = "0x1111111111111111111111111111111111111111"

[[network.base.asset]]
address = "0x1111111111111111111111111111111111111111"
"#
        ),
        r#"
error: no asset is known on `tempo`
 --> octroi.toml:2:10 (network.tempo)
  |
2 | [network.tempo]
  |          ^^^^^
  = help: add [[network.tempo.asset]] with its address

error: "0x12" is not an EVM address: expected 0x followed by 40 hex digits
 --> octroi.toml:5:21 (network.tempo.multicall_address)
  |
5 | multicall_address = "0x12"
  |                     ^^^^^^

error: `decimals` is a number from 0 to 18
  --> octroi.toml:13:12 (network.base.asset[0].decimals)
   |
13 | decimals = 19
   |            ^^

error: 0x1111111111111111111111111111111111111111 is listed twice
  --> octroi.toml:19:11 (network.base.asset[2].address)
   |
19 | address = "0x1111111111111111111111111111111111111111"
   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

octroi.toml: 4 errors, no warnings
"#
    );
}

#[test]
fn wallet_keys_are_checked() {
    assert_eq!(
        report(
            r#"
[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["missing.key", "empty.key", "token.txt", "wallet.key", "wallet.key", "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", "."]
wallet_key_variables = ["WALLET_KEY", "NOT_SET", "0xb2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"]
"#
        ),
        r#"
error: cannot read "missing.key": there is no such file
 --> octroi.toml:4:21 (network.base.wallet_key_files)
  |
4 | wallet_key_files = ["***********", "*********", "*********", "**********", "**********", "****************************************************************", "*"]
  |                     ^^^^^^^^^^^^^
  = help: file names start at the directory of the configuration file

error: the file "empty.key" holds no text
 --> octroi.toml:4:36 (network.base.wallet_key_files)
  |
4 | wallet_key_files = ["***********", "*********", "*********", "**********", "**********", "****************************************************************", "*"]
  |                                    ^^^^^^^^^^^

error: this does not hold a private key of 64 hex digits
 --> octroi.toml:4:49 (network.base.wallet_key_files)
  |
4 | wallet_key_files = ["***********", "*********", "*********", "**********", "**********", "****************************************************************", "*"]
  |                                                 ^^^^^^^^^^^

error: this holds the same key as another entry
 --> octroi.toml:4:76 (network.base.wallet_key_files)
  |
4 | wallet_key_files = ["***********", "*********", "*********", "**********", "**********", "****************************************************************", "*"]
  |                                                                            ^^^^^^^^^^^^

error: `wallet_key_files` is the name of a file, and this looks like a secret
 --> octroi.toml:4:90 (network.base.wallet_key_files)
  |
4 | wallet_key_files = ["***********", "*********", "*********", "**********", "**********", "****************************************************************", "*"]
  |                                                                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: put the secret into a file and name that file here

error: cannot read ".": it is a directory
 --> octroi.toml:4:158 (network.base.wallet_key_files)
  |
4 | wallet_key_files = ["***********", "*********", "*********", "**********", "**********", "****************************************************************", "*"]
  |                                                                                                                                                              ^^^
  = help: file names start at the directory of the configuration file

error: the environment variable WALLET_KEY is not set
 --> octroi.toml:5:25 (network.base.wallet_key_variables)
  |
5 | wallet_key_variables = ["**********", "*******", "******************************************************************"]
  |                         ^^^^^^^^^^^^

error: the environment variable NOT_SET is not set
 --> octroi.toml:5:39 (network.base.wallet_key_variables)
  |
5 | wallet_key_variables = ["**********", "*******", "******************************************************************"]
  |                                       ^^^^^^^^^

error: `wallet_key_variables` lists names of variables, in capitals, digits and _
 --> octroi.toml:5:50 (network.base.wallet_key_variables)
  |
5 | wallet_key_variables = ["**********", "*******", "******************************************************************"]
  |                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: the keys themselves stay out of the file

octroi.toml: 9 errors, no warnings
"#
    );
}
