//! `octroi dev`: everything on one machine, with play money, ready in a second.

mod demo;
mod keys;
mod network;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use octroi::wire::{WireOptions, wire};
use octroi_config::{Config, Source};
use octroi_types::ChainId;

use crate::cli::{DEV_FOLDER, DevArgs};
use crate::output;
use crate::serve;

/// The chain of the local test network: outside every range in use, so that nothing signed for it
/// means anything elsewhere.
pub(crate) const CHAIN: ChainId = ChainId(84_028_402);

/// Runs until it is told to stop.
pub(crate) async fn run(args: &DevArgs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot create {}", args.data.display()))?;
    let keys = keys::DevKeys::load_or_create(&args.data)?;
    let network = network::DevNetwork::open(&args.data, &keys)?;
    let demo = demo::Demo::start(network.node())
        .await
        .context("cannot start the demo origin")?;
    let listen = free_port(args.listen).context("no free port")?;
    let text = configuration(args, listen, demo.address(), &keys);
    let loaded = Config::check(Source {
        file: "octroi dev",
        text: &text,
        directory: &args.data,
        environment: &[],
    })
    .map_err(|report| anyhow::anyhow!("the configuration of octroi dev is wrong:\n{report}"))?;
    serve::start_logging(&loaded.config.log)?;
    let mut options = WireOptions::new()?;
    options.local_nodes.insert(CHAIN, network.transport());
    let wired = wire(loaded.config, options).await?;
    let address = wired
        .local_addresses()
        .first()
        .copied()
        .unwrap_or(args.listen);
    network.run();
    output::note(&welcome(address, demo.address(), &args.data, &keys));
    serve::until_stopped(wired).await;
    network.close()
}

/// The address with a real port in place of 0: prices name the gate's address before it is bound.
fn free_port(listen: SocketAddr) -> std::io::Result<SocketAddr> {
    if listen.port() == 0 {
        std::net::TcpListener::bind(listen)?.local_addr()
    } else {
        Ok(listen)
    }
}

/// The configuration that `octroi dev` stands for; it is also written beside the data, to be read
/// and copied from.
fn configuration(
    args: &DevArgs,
    listen: SocketAddr,
    demo: SocketAddr,
    keys: &keys::DevKeys,
) -> String {
    let text = format!(
        r#"# What `octroi dev` runs. Made anew at every start: copy it, do not edit it.
[server]
listen = ["{listen}"]
public_url = "http://{listen}"
aliases = ["localhost", "127.0.0.1", "[::1]"]

[store]
path = "octroi.db"

[log]
format = "text"
level = "{log}"

[tenant]
name = "dev"
pay_to = "{pay_to}"

[network.local]
chain_id = {chain}
mode = "test"
rpc_urls = ["http://{demo}/rpc"]
block_time_ms = 1000
wallet_key_files = [{wallet_files}]

[[network.local.asset]]
address = "{token}"
name = "{token_name}"
version = "{token_version}"
decimals = {decimals}
symbol = "TestUSD"

[[service]]
name = "demo"
description = "The demo origin of octroi dev"
origin = "http://{demo}"
networks = ["local"]

[[service.paywall]]
slug = "today"
price = "0.01"
description = "A line for today, as JSON"
mime_type = "application/json"
path = "/today"

[[service.paywall]]
slug = "stream"
price = "0.02"
description = "Ten server-sent events"
mime_type = "text/event-stream"
path = "/stream"

[[service.paywall]]
slug = "echo"
price = "0.001"
description = "What you post, posted back"
path = "/echo"
methods = ["POST"]

[[service.paywall]]
slug = "files"
price = "0.05"
description = "Bytes by the number: /files/1048576"
path = "/files"
subpaths = true
settle = "before_origin"
"#,
        log = args.log.as_str(),
        pay_to = keys.seller_address(),
        chain = CHAIN.0,
        wallet_files = keys.wallet_files_toml(),
        token = octroi_devnet::TOKEN_ADDRESS,
        token_name = octroi_devnet::TOKEN_NAME,
        token_version = octroi_devnet::TOKEN_VERSION,
        decimals = octroi_devnet::TOKEN_DECIMALS,
    );
    // Only a convenience for reading: the gate runs from the text itself.
    drop(std::fs::write(args.data.join("octroi.toml"), &text));
    text
}

fn welcome(address: SocketAddr, demo: SocketAddr, data: &Path, keys: &keys::DevKeys) -> String {
    // `octroi pay` finds the key by itself where this command keeps it unless told otherwise.
    let key_option = if data == Path::new(DEV_FOLDER) {
        String::new()
    } else {
        format!("--key-file {} ", keys.buyer_file().display())
    };
    format!(
        r"
  octroi dev is listening on {address}

  PLAY MONEY: a test network inside this process. Nothing here is worth anything.

  gate          http://{address}
  priced        http://{address}/api/x402/pay/demo/today     $0.01
                http://{address}/api/x402/pay/demo/stream    $0.02, server-sent events
                http://{address}/api/x402/pay/demo/files/1048576   $0.05, settled first
  test buyer    {buyer}, holds 1,000,000 TestUSD
  its key       {key}
  node          http://{demo}/rpc (chain id {chain})
  kept in       {data}

  Try it in another terminal, in this folder:

      {octroi} pay {key_option}http://{address}/api/x402/pay/demo/today

  What was paid:  {octroi} transactions list --config {config}
  Stop with Ctrl-C; the next start goes on where this one ended.
",
        // Cargo says so to what it runs.
        octroi = match std::env::var_os("CARGO") {
            Some(_) => "cargo run --release --",
            None => "octroi",
        },
        buyer = keys.buyer_address(),
        key = keys.buyer_file().display(),
        chain = CHAIN.0,
        data = data.display(),
        config = data.join("octroi.toml").display(),
    )
}

/// Kept alive as long as the gate runs.
pub(crate) type Node = Arc<octroi_devnet::DevNet>;
