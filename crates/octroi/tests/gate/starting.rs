//! What is wrong is found before anything is bound.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};

use octroi_testkit::{Fault, Net, Setup, World};
use serde_json::json;

/// An address that is in use, so that binding it fails, and cannot be overlooked.
pub(crate) fn taken() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// `octroi serve` to its end.
async fn serve(world: &World) -> (i32, String) {
    let rpc_url = format!("http://{}/", world.node.listen().await);
    world.write("octroi.toml", &world.configuration(&rpc_url));
    let mut command = Command::new(env!("CARGO_BIN_EXE_octroi"));
    command
        .args(["serve", "--config", "octroi.toml"])
        .current_dir(world.folder())
        .env_clear()
        .stdin(Stdio::null());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
    let Output { status, stderr, .. } = octroi_testkit::within("it ends", ran).await.unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn a_bad_configuration_is_told_of_before_an_address_is_asked_for() {
    let (_socket, address) = taken();
    let mut world = World::around(Net::new()).await;
    world.listen = address.to_string();
    let good = serve(&world).await;
    assert_ne!(good.0, 0);
    let in_use = format!("{address}");
    assert!(
        good.1.contains("cannot listen") && good.1.contains(&in_use),
        "{}",
        good.1
    );

    for (wrong, named) in [
        ("[[site]]\nhosts = [\"site.test\"]\n", "origin"),
        (
            "[[service]]\nname = \"x\"\norigin = \"ftp://x\"\n",
            "ftp://x",
        ),
        (
            "[[service]]\nname = \"x\"\norigin = \"http://127.0.0.1:9\"\n[[service.paywall]]\nslug = \"y\"\nprice = \"dear\"\n",
            "dear",
        ),
        ("[metrics]\nenabld = true\n", "enabld"),
        (
            "[[server.tls]]\ncert_file = \"none.crt\"\nkey_file = \"none.key\"\n",
            "none.crt",
        ),
        ("[server.acme]\n", "terms_agreed"),
        ("[[[\n", "octroi.toml"),
    ] {
        wrong.clone_into(&mut world.sections);
        let (exit, said) = serve(&world).await;
        assert_eq!(exit, 78, "{said}");
        assert!(said.contains(named), "{named}: {said}");
        assert!(!said.contains("cannot listen"), "{said}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_told_of_before_an_address_is_asked_for() {
    let (_socket, address) = taken();
    let mut world = World::around(Net::new()).await;
    world.listen = address.to_string();
    world.write("octroi.db", &"not a database ".repeat(1_000));
    let (exit, said) = serve(&world).await;
    assert_ne!(exit, 0);
    assert!(said.contains("octroi.db"), "{said}");
    assert!(!said.contains("cannot listen"), "{said}");
}

#[tokio::test]
async fn a_chain_that_is_another_is_told_of_before_an_address_is_asked_for() {
    let (_socket, address) = taken();
    let setup = Setup::new().await.listen(address);
    let other = setup
        .node()
        .always(&["eth_chainId"], || Fault::Say(json!("0x1")));
    let error = setup.try_start().await.err().unwrap();
    assert!(
        error.contains("base-sepolia") && !error.contains("cannot listen"),
        "{error}"
    );
    drop(other);
    let setup = Setup::new().await.listen(address);
    let error = setup.try_start().await.err().unwrap();
    assert!(error.contains("cannot listen"), "{error}");
}
