//! What the pages tell users to type, typed.
#![cfg(test)] // Lets the lints see that everything here is a test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How the README starts the program from the source tree.
const FROM_SOURCE: &str = "cargo run --release -- ";
/// The address in the README, which may be in use here.
const ADDRESS: &str = "127.0.0.1:8402";
/// What `octroi dev` says first.
const LISTENING: &str = "octroi dev is listening on ";
/// Longest wait for anything, far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn octroi(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_octroi"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its good end, and returns its two outputs.
fn run(folder: &Path, args: &[&str]) -> (String, String) {
    let output = octroi(folder, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(
        output.status.success(),
        "octroi {args:?}: {}\n{err}",
        output.status
    );
    (out, err)
}

/// The commands that a page shows, on lines of their own or in code font, without `octroi`.
fn commands(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter_map(|line| {
        let line = line.split(" #").next().unwrap_or(line);
        line.strip_prefix("octroi ")
            .or_else(|| line.strip_prefix(FROM_SOURCE))
    });
    let prose = page.lines().filter(|line| !line.starts_with("```"));
    let spans = prose.flat_map(|line| line.split('`').skip(1).step_by(2));
    let spans = spans.filter_map(|span| span.strip_prefix("octroi "));
    lines
        .chain(spans)
        .map(|command| command.split_whitespace().collect())
        .collect()
}

#[test]
fn every_command_that_is_named_exists() {
    let folder = tempfile::tempdir().unwrap();
    let (help, _) = run(folder.path(), &["--help"]);
    let mut checked = 0;
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/operating.md",
        "docs/configuration.md",
    ] {
        let page = page(name);
        for words in commands(&page) {
            let command = words[0];
            let listed = help
                .lines()
                .any(|line| line.starts_with(&format!("  {command} ")));
            assert!(listed, "{name} names `octroi {command}`");
            let (help, _) = run(folder.path(), &[command, "--help"]);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(flag),
                    "{name}: octroi {command} has no {flag}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

/// Every piece of source that a page links to is there: the file, and the test of that name in it.
#[test]
fn every_test_that_a_rule_names_exists() {
    let page = page("docs/money.md");
    let mut tests = 0;
    for link in page.split('[').skip(1) {
        let Some((name, rest)) = link.split_once("](../") else {
            continue;
        };
        let path = rest.split(')').next().unwrap();
        let source = self::page(path);
        let stem = Path::new(path).file_stem().unwrap().to_str().unwrap();
        let is_file = [stem, &format!("{stem}.rs")].contains(&name);
        if !is_file {
            assert!(source.contains(&format!("fn {name}(")), "{path}: {name}");
            tests += 1;
        }
    }
    assert!(tests > 32, "{tests}");
}

/// The example of the README: a gate is started, an answer is bought, and the next start goes on
/// where the first one ended.
#[test]
fn the_example_of_the_readme_runs() {
    let folder = tempfile::tempdir().unwrap();
    let readme = page("README.md");
    let typed: Vec<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix(FROM_SOURCE))
        .collect();
    let [dev, pay] = typed[..] else {
        panic!("the README shows two commands: {typed:?}")
    };

    let gate = Gate::start(folder.path(), dev);
    buy(folder.path(), pay, &gate);
    check_description(&gate);
    check_metrics(&gate);
    gate.stop();
    let before = transactions(folder.path());
    assert_eq!(before.len(), 1);

    let gate = Gate::start(folder.path(), dev);
    assert_eq!(transactions(folder.path()), before, "as it was");
    buy(folder.path(), pay, &gate);
    gate.stop();
    let after = transactions(folder.path());
    assert_eq!(after.len(), 2);
    assert_eq!(after[1], before[0], "newest first");
    assert!(
        after
            .iter()
            .all(|transaction| transaction["state"] == "Completed"),
        "{after:?}"
    );
    let (books, _) = run(
        folder.path(),
        &["books", "--config", "octroi-dev/octroi.toml"],
    );
    assert!(books.contains("The books balance."), "{books}");
}

fn buy(folder: &Path, pay: &str, gate: &Gate) {
    let pay = pay.replace(ADDRESS, &gate.address);
    let args: Vec<_> = pay.split_whitespace().collect();
    let (content, told) = run(folder, &args);
    let content: Value = serde_json::from_str(&content).unwrap();
    assert_eq!(content["line"], "The toll is paid; the gate is open.");
    for shown in [
        "402 Payment Required",
        "$0.01",
        "paid $0.01",
        "transaction 0x",
    ] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
}

fn transactions(folder: &Path) -> Vec<Value> {
    let args = "transactions list --json --config octroi-dev/octroi.toml";
    let args: Vec<_> = args.split(' ').collect();
    let (list, _) = run(folder, &args);
    serde_json::from_str(&list).unwrap()
}

/// The OpenAPI document is served, and a paywall of the dev gate answers as it says.
fn check_description(gate: &Gate) {
    let (status, description) = gate.get("/openapi.json");
    assert_eq!(status, 200);
    assert_eq!(description, page("openapi/gate.json"));
    let description: Value = serde_json::from_str(&description).unwrap();
    let path = "/api/x402/pay/{service}/{slug}";
    let responses = &description["paths"][path]["get"]["responses"];
    let path = path.replace("{service}", "demo");
    for (slug, status) in [("today", 402), ("no-such-thing", 404), ("echo", 405)] {
        let (answered, body) = gate.get(&path.replace("{slug}", slug));
        assert_eq!(answered, status, "{slug}: {body}");
        assert!(
            responses.get(status.to_string()).is_some(),
            "{status} is not described"
        );
    }
}

/// What operators are told to watch is counted.
fn check_metrics(gate: &Gate) {
    // Nothing is unknown when all is well.
    const ZERO: &str = "octroi_settlements_unknown";
    let (status, metrics) = gate.get("/metrics");
    assert_eq!(status, 200);
    let page = page("docs/operating.md");
    let spans = page.split('`').skip(1).step_by(2);
    let watched: Vec<_> = spans.filter(|span| span.starts_with("octroi_")).collect();
    assert!(!watched.is_empty());
    for name in watched {
        let counts = |line: &str| {
            let value = line
                .strip_prefix(name)
                .and_then(|rest| rest.rsplit(' ').next());
            value.is_some_and(|value| value != "0" || name == ZERO)
        };
        assert!(metrics.lines().any(counts), "{name} is not counted");
    }
}

/// `octroi dev` as a process. If a test fails, it is killed and what it said is shown.
struct Gate {
    process: Child,
    address: String,
    said: Arc<Mutex<String>>,
}

impl Gate {
    /// Starts it on a free port, and waits until it listens.
    fn start(folder: &Path, command: &str) -> Self {
        let mut args: Vec<_> = command.split_whitespace().collect();
        args.extend(["--listen", "127.0.0.1:0"]);
        let mut command = octroi(folder, &args);
        let mut process = command.stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        let mut gate = Self {
            process,
            address: String::new(),
            said: Arc::default(),
        };
        let said = Arc::clone(&gate.said);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                said.lock().unwrap().extend([&line, "\n"]);
                // Nobody waits for lines once the address is known.
                let _ = send.send(line);
            }
        });
        while gate.address.is_empty() {
            let line = lines
                .recv_timeout(PATIENCE)
                .expect("the gate does not start");
            if let Some((_, address)) = line.split_once(LISTENING) {
                gate.address = address.to_owned();
            }
        }
        gate
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &self.address;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// Presses Ctrl-C and waits for the end.
    fn stop(mut self) {
        let interrupt = format!("kill -INT {}", self.process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &interrupt])
                .status()
                .unwrap()
                .success()
        );
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.process.kill();
            let _ = self.process.wait();
            eprintln!("{}", self.said.lock().unwrap());
        }
    }
}
