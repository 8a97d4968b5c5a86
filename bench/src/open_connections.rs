//! Many connections that stay open.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::request::Target;
use crate::response::ResponseReader;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// What a process needs beside its connections.
const OTHER_FILES: u64 = 64;

/// Opens so many keep-alive connections, sends one request on each and reads its answer, so that
/// the server has every one of them in use. They are open as long as they are held.
///
/// # Errors
/// When the server, or the limit on open files, does not allow so many, or an answer is not HTTP
/// or closes the connection.
pub fn open_connections(target: &Target, count: usize) -> Result<Vec<TcpStream>> {
    allow_open_files(count as u64 + OTHER_FILES)?;
    let request = target.get(&[]);
    let mut buffer = vec![0; 16 * 1024];
    (1..=count)
        .map(|number| {
            open(target, &request, &mut buffer).with_context(|| format!("connection {number}"))
        })
        .collect()
}

fn open(target: &Target, request: &[u8], buffer: &mut [u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(target.address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(request)?;
    let mut reader = ResponseReader::default();
    loop {
        let length = stream.read(buffer)?;
        ensure!(length > 0, "closed before the answer");
        let answer = reader
            .read(&buffer[..length])
            .ok()
            .context("the answer is not HTTP/1.1")?;
        if let Some((response, _)) = answer {
            ensure!(response.keep_alive, "closed after the answer");
            return Ok(stream);
        }
    }
}

/// Raises this process's own limit on open files as far as it may.
fn allow_open_files(needed: u64) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    ensure!(
        limit.current.is_none_or(|current| current >= needed),
        "{needed} open files are needed and {} allowed: raise `ulimit -Hn`",
        limit.current.unwrap_or_default()
    );
    Ok(())
}
