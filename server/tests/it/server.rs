//! The real binary on a free port in a temporary directory, and those who talk to it: a shell for
//! typed commands, the client of the command line, and kube's.
//!
//! Nothing here waits for a time: it waits for a line, a state or an exit, and fails after
//! [`PATIENCE`].

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use annals_server::client::{Client, Target};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use super::site::{Keys, PATIENCE};

const ANNALS: &str = env!("CARGO_BIN_EXE_annals");

/// A directory, and the server that runs on it.
pub(crate) struct Server {
    dir: TempDir,
    running: Running,
}

struct Running {
    child: Child,
    /// `127.0.0.1:PORT`
    address: String,
    /// Kept open: a server whose output is closed would fail to print.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// A server on an empty directory.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start(dir.path()).await;
        Self { dir, running }
    }

    /// Kills the server as a power cut would: it gets no chance to write anything.
    pub(crate) async fn kill(&mut self) {
        self.running.child.kill().await.unwrap();
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        stop(&mut self.running.child).await
    }

    /// Starts again on the same directory, on another port. Clients must be made anew.
    pub(crate) async fn start_again(&mut self) {
        self.running = Running::start(self.dir.path()).await;
    }

    /// The folder of the server's files.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.running.address.parse().unwrap()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data().join("admin.kubeconfig")
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::read(&self.kubeconfig())
    }

    /// The client of the command line.
    pub(crate) fn client(&self) -> Client {
        Client::new(Target::read(&self.kubeconfig()).unwrap())
    }

    /// The client of kube.
    pub(crate) async fn kube(&self) -> kube::Client {
        let text = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(text, &options);
        kube::Client::try_from(config.await.unwrap()).unwrap()
    }

    /// A shell in which `annals` and `kubectl` speak to this server.
    pub(crate) fn shell(&self) -> Shell {
        Shell {
            home: tempfile::tempdir().unwrap(),
            kubeconfig: self.kubeconfig(),
        }
    }

    /// A shell, if there is a kubectl for it.
    pub(crate) fn kubectl(&self) -> Option<Shell> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|folder| folder.join("kubectl").is_file()) {
            return Some(self.shell());
        }
        let is_required = std::env::var("ANNALS_REQUIRE_KUBECTL").as_deref() == Ok("1");
        assert!(
            !is_required,
            "ANNALS_REQUIRE_KUBECTL=1, and no kubectl on the PATH"
        );
        println!("skipped: no kubectl on the PATH");
        None
    }
}

async fn stop(child: &mut Child) -> ExitStatus {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(sent.unwrap().success());
    let ended = timeout(PATIENCE, child.wait()).await;
    ended.expect("it stops when asked").unwrap()
}

impl Running {
    async fn start(dir: &Path) -> Self {
        let log = dir.join("log");
        let mut child = Command::new(ANNALS)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, out.next_line()).await;
        let first = first.expect("the server starts").unwrap();
        let Some(first) = first else {
            panic!("no start: {}", std::fs::read_to_string(&log).unwrap());
        };
        let (_, address) = first.split_once("https://").expect(&first);
        Self {
            child,
            address: address.to_owned(),
            _out: out,
        }
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Where commands are typed: a folder of its own, with the kubeconfig of a server.
pub(crate) struct Shell {
    home: TempDir,
    kubeconfig: PathBuf,
}

impl Shell {
    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let annals = Path::new(ANNALS).parent().unwrap().to_owned();
        let folders = std::iter::once(annals).chain(std::env::split_paths(&path));
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(self.home.path())
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a line to its end.
    pub(crate) async fn run(&self, line: &str) -> Run {
        let done = timeout(2 * PATIENCE, self.command(line).output()).await;
        let done = done.unwrap_or_else(|_| panic!("{line}: hangs")).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            code: done.status.code().unwrap(),
            out: text(done.stdout),
            err: text(done.stderr),
        }
    }

    /// Runs a line that succeeds, and answers what it printed.
    pub(crate) async fn ok(&self, line: &str) -> String {
        let run = self.run(line).await;
        assert_eq!(run.code, 0, "$ {line}\n{run:#?}");
        run.out
    }

    /// Runs a line that fails, and answers why.
    pub(crate) async fn fails(&self, line: &str) -> String {
        let run = self.run(line).await;
        assert_ne!(run.code, 0, "$ {line}\n{run:#?}");
        run.err
    }

    /// Starts one command whose lines are read as they come.
    pub(crate) fn follow(&self, command: &str) -> Follow {
        let mut child = self
            .command(&format!("exec {command}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Follow { lines, child }
    }
}

/// A command that runs on. Dropping it ends it.
pub(crate) struct Follow {
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Follow {
    /// Asks the command to stop and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        stop(&mut self.child).await
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("a line")
            .unwrap()
            .expect("a line before the end")
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "still not so after a long wait: {what}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}
