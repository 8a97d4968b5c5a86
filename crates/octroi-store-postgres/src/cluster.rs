//! A PostgreSQL server for tests, from the programs that are installed.
//!
//! It runs in a folder of its own, as an ordinary user, and is reached by a socket in that folder.
//! Everybody who tests may share one: whoever comes first starts it, and a guard ends it and removes the
//! folder when nobody uses it any more, however its users ended. It does not outlive them by more than a
//! few seconds, and keeps nothing: `fsync` is off unless a test asks for it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: one that cannot go on ends here, with a message"
)]

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest as _, Sha256};

use crate::schema::MIGRATIONS;
use crate::{PostgresOptions, PostgresStore};

/// The names of those who may run the server where we may not, being root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// How a server is set up. It listens on a socket in its folder alone.
const SETTINGS: &str = "
listen_addresses = ''
max_connections = 300
shared_buffers = 128MB
max_wal_size = 1GB
autovacuum_naptime = 10s
log_min_messages = warning
";

/// What makes tests quick, and a power failure fatal.
const NOT_DURABLE: &str = "
fsync = off
full_page_writes = off
";

/// Ends the server when nobody holds the lock of its users, and removes the folder. Whoever starts one
/// waits for that, because both hold the lock of starts meanwhile.
const GUARD: &str = r#"
(
while sleep 2; do
    (
        flock --exclusive 9
        flock --exclusive --nonblock 8 || exit 1
        "$@" stop --silent --mode=immediate
        rm -rf -- data template-* server.log
        exit 0
    ) 8>users.lock 9>start.lock && break
done
if [ -n "$OWN" ]; then rm -rf -- "$PWD"; fi
) &
"#;

/// A running server. It goes on as long as somebody holds one of these for its folder.
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// Locked, together with everybody else who uses the server.
    _use: File,
    is_own: bool,
}

impl Cluster {
    /// The server that all tests of this target folder share.
    ///
    /// # Panics
    /// If there is no server and none can be started.
    #[must_use]
    pub fn shared() -> Self {
        let mut hasher = DefaultHasher::new();
        let program = std::env::current_exe().unwrap();
        program.ancestors().nth(3).hash(&mut hasher);
        fs::metadata("/proc/self").unwrap().uid().hash(&mut hasher);
        let name = format!("octroi-postgres-{:016x}", hasher.finish());
        Self::at(std::env::temp_dir().join(name), NOT_DURABLE, false)
    }

    /// A server of the caller's own, which it may stop and kill; with `settings` beside the usual ones.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn own(settings: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("octroi-postgres-{}-{number}", std::process::id());
        Self::at(std::env::temp_dir().join(name), settings, true)
    }

    fn at(folder: PathBuf, settings: &str, is_own: bool) -> Self {
        let programs = programs();
        fs::create_dir_all(&folder).unwrap();
        let users = open_lock(&folder.join("users.lock"));
        users.lock_shared().unwrap();
        let cluster = Self {
            folder,
            programs,
            _use: users,
            is_own,
        };
        let starts = open_lock(&cluster.folder.join("start.lock"));
        starts.lock().unwrap();
        if !cluster.is_running() {
            cluster.start(settings);
        }
        cluster
    }

    fn is_running(&self) -> bool {
        let status = self.pg_ctl().arg("status").output().unwrap();
        status.status.success()
    }

    fn start(&self, settings: &str) {
        let data = self.folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).unwrap();
        }
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).unwrap();
        if let Some(user) = other_user() {
            run(Command::new("chown").arg(user).arg(&self.folder));
        }
        let initdb = ["--auth=trust", "--username=octroi", "--encoding=UTF8"];
        let mut command = self.program("initdb");
        command
            .args(initdb)
            .args(["--locale=C", "--no-sync", "--pgdata"]);
        run(command.arg(&data));
        let socket = format!("unix_socket_directories = '{}'\n", self.folder.display());
        let configuration = data.join("postgresql.auto.conf");
        let text = [&socket, SETTINGS, settings].concat();
        fs::write(configuration, text).unwrap();
        self.start_server();
        self.guard();
    }

    /// Starts the server again after [`Self::kill`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_server(&self) {
        let log = self.folder.join("server.log");
        run(self
            .pg_ctl()
            .args(["start", "--silent", "--wait", "--log"])
            .arg(log));
    }

    /// Ends the server as a crash does: nothing is written to the disk any more.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&self) {
        run(self.pg_ctl().args(["stop", "--silent", "--mode=immediate"]));
    }

    /// Stays when we end, however that is, and ends when nobody uses the server.
    fn guard(&self) {
        let pg_ctl = self.pg_ctl();
        let mut guard = Command::new("sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(pg_ctl.get_program())
            .args(pg_ctl.get_args())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env("OWN", if self.is_own { "1" } else { "" })
            // What ends the test must not end it.
            .process_group(0)
            .status()
            .unwrap();
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg("--pgdata").arg(self.folder.join("data"));
        command
    }

    /// A program of the server's, run as a user who may.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match other_user() {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                let of_user = [format!("--reuid={user}"), format!("--regid={user}")];
                command.args(of_user).arg("--clear-groups").arg(program);
                command
            }
        };
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// The address of a database.
    #[must_use]
    pub fn address(&self, database: &str) -> String {
        let folder = self.folder.display();
        format!("host={folder} user=octroi dbname={database}")
    }

    /// Runs a statement in a database and returns what it prints, without decoration.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--dbname"])
            .args([&self.address(database), "--command", sql]);
        let output = psql.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A fresh database with the newest schema. It is a copy of one that is made once.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn database(&self) -> Database<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let template = self.template();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let copy = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let _ = self.sql("postgres", &copy);
        Database {
            cluster: self,
            name,
        }
    }

    fn template(&self) -> String {
        let mut hasher = Sha256::new();
        MIGRATIONS.iter().for_each(|sql| hasher.update(sql));
        let hash = hasher.finalize();
        let name = format!("template_{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2]);
        let made = self.folder.join(format!("template-{name}"));
        let starts = open_lock(&self.folder.join("start.lock"));
        starts.lock().unwrap();
        if !made.exists() {
            let _ = self.sql("postgres", &format!("DROP DATABASE IF EXISTS {name}"));
            let _ = self.sql("postgres", &format!("CREATE DATABASE {name}"));
            migrate(self.address(&name));
            // Whoever copies it must be alone with it.
            self.wait_until_alone(&name);
            File::create(&made).unwrap();
        }
        name
    }

    fn wait_until_alone(&self, database: &str) {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        while self.sql("postgres", &sql) != "0" {
            std::thread::yield_now();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.is_own {
            // The guard removes the rest.
            let _ = self.pg_ctl().args(["stop", "--mode=immediate"]).output();
        }
    }
}

/// A database, until it is dropped.
pub struct Database<'c> {
    cluster: &'c Cluster,
    name: String,
}

impl Database<'_> {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        self.cluster.address(&self.name)
    }

    /// Runs a statement and returns what it prints, without decoration.
    #[must_use]
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if !std::thread::panicking() {
            let _ = self.cluster.sql("postgres", &drop);
        }
    }
}

/// In a thread of its own, because the caller may have a runtime.
fn migrate(address: String) {
    let migrate = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let options = PostgresOptions::default();
            let store = PostgresStore::open(&address, options).await.unwrap();
            store.close().await;
        });
    };
    std::thread::spawn(migrate).join().unwrap();
}

fn open_lock(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    options.open(path).unwrap()
}

/// Who runs the server, if we are root, whom it refuses.
fn other_user() -> Option<&'static str> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let exists = |user: &&str| {
        users
            .lines()
            .any(|line| line.starts_with(&format!("{user}:")))
    };
    USERS.into_iter().find(exists)
}

/// Where the server's programs are: on the path, or where Debian has them, the newest.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort_by_key(|version| {
        let name = version.file_name().and_then(|name| name.to_str());
        std::cmp::Reverse(name.and_then(|name| name.parse::<u32>().ok()))
    });
    folders.extend(versions.into_iter().map(|version| version.join("bin")));
    let has_all = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres", "psql"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    folders.into_iter().find(has_all).unwrap_or_else(|| {
        panic!("PostgreSQL is not installed; on Debian, `apt-get install postgresql`")
    })
}

fn run(command: &mut Command) {
    // A server that goes on must not hold on to a pipe of ours.
    let log = std::env::temp_dir().join(format!("octroi-postgres-{}.log", std::process::id()));
    let output = File::create(&log).unwrap();
    command.stdout(output.try_clone().unwrap()).stderr(output);
    let status = command.status().unwrap();
    let text = fs::read_to_string(&log).unwrap_or_default();
    fs::remove_file(&log).ok();
    assert!(status.success(), "{command:?}: {text}");
}
