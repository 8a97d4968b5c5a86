//! nginx as a reverse proxy, set up to be fast.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use octroi_interop::{Http, eventually};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::free_address;
use crate::process::ProcessId;

/// How long it may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_PAUSE: Duration = Duration::from_millis(10);
/// Where Debian puts it, which is on the path of administrators only.
const DEBIAN_BINARY: &str = "/usr/sbin/nginx";

/// A running nginx with two workers. Dropping it stops it.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    url: String,
    // Dropped after the process has ended.
    _folder: TempDir,
}

impl Nginx {
    /// Starts it in front of an origin, such as `http://127.0.0.1:9000`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(origin_url: &str) -> Result<Self> {
        let binary = binary()?;
        let folder = tempfile::tempdir()?;
        // Its workers may run as another user.
        fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        let address = free_address()?;
        let config = folder.path().join("nginx.conf");
        fs::write(&config, config_text(&address, origin_url)?)?;
        let child = Command::new(binary)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        let url = format!("http://{address}");
        let nginx = Self {
            child,
            url,
            _folder: folder,
        };
        let http = Http::new();
        eventually("nginx to answer", async || {
            let answer = http.get(&nginx.url).await.ok();
            Ok(answer.filter(|answer| answer.status == 200).map(drop))
        })
        .await?;
        Ok(nginx)
    }

    /// Its address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The processes that do its work.
    ///
    /// # Errors
    /// When it has ended.
    pub fn workers(&self) -> Result<Vec<ProcessId>> {
        ProcessId(self.child.id()).children()
    }

    /// Its version, such as `1.22.1`.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn version() -> Result<String> {
        let output = Command::new(binary()?).arg("-v").output()?;
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(text
            .rsplit_once('/')
            .map_or(text.clone(), |(_, version)| version.to_owned()))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master has to stop its workers itself: killed, it would leave them behind.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let give_up = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > give_up {
                let _ = self.child.kill();
            }
            thread::sleep(STOP_PAUSE);
        }
    }
}

/// The one in `OCTROI_BENCH_NGINX`, or the one that is installed.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OCTROI_BENCH_NGINX") {
        return Ok(PathBuf::from(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("nginx"))
        .chain([PathBuf::from(DEBIAN_BINARY)])
        .find(|candidate| Path::is_file(candidate))
        .context("nginx is not installed: on Debian, `apt-get install nginx`")
}

/// Two workers that share connections evenly, kept-alive connections on both sides that no count
/// ends, and no log.
fn config_text(address: &str, origin_url: &str) -> Result<String> {
    let origin = origin_url
        .strip_prefix("http://")
        .context("the origin is no http:// address")?;
    Ok(format!(
        "worker_processes 2;
daemon off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000000;
    upstream origin {{
        server {origin} max_fails=0;
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} reuseport;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    ))
}
