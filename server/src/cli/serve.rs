//! `annals serve`: first start, listener, first screen, drain.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use annals::Store;
use axum::Router;
use clap::Args as Flags;
use jiff::Timestamp;
use tracing_subscriber::EnvFilter;

use super::keep::Rules;
use super::size::Size;
use super::{Exit, Failure, print};
use crate::api;
use crate::net::{self, Audit, Health, Limits, Shutdown};
use crate::setup::{DataDir, Prepared, Wish, prepare};

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// Settings: a YAML file whose keys are the long names of these flags, such as `listen: ...`
    #[arg(long, env = "ANNALS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept; made on the first start
    #[arg(long, env = "ANNALS_DATA_DIR", default_value = "./annals-data")]
    data_dir: PathBuf,
    /// The address of the HTTPS door; port 0 takes a free one
    #[arg(long, env = "ANNALS_LISTEN", default_value = "127.0.0.1:6443", value_parser = address)]
    listen: SocketAddr,
    /// Another name or address of this server, for its certificate (repeat for more)
    #[arg(
        long = "tls-san",
        env = "ANNALS_TLS_SAN",
        value_name = "NAME",
        value_delimiter = ','
    )]
    tls_sans: Vec<String>,
    /// Keep everything in a temporary directory and remove it at the end
    #[arg(long, env = "ANNALS_EPHEMERAL")]
    ephemeral: bool,
    /// Memory for pages of the store
    #[arg(
        long,
        env = "ANNALS_CACHE_SIZE",
        value_name = "SIZE",
        default_value = "256MiB"
    )]
    cache_size: Size,
    /// What to keep of the past: [RESOURCE.GROUP[/NAMESPACE]:]revisions=N,age=SPAN,trash=SPAN, such
    /// as revisions=20,trash=30d (repeat for more; the narrowest holds). Without it everything
    #[arg(long, env = "ANNALS_KEEP", value_name = "RULE")]
    keep: Vec<Rules>,
    /// Where to write down every denial and every change: a file, or - for the standard error
    /// [default: audit.log in the data directory]
    #[arg(long, env = "ANNALS_AUDIT_LOG", value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// What to log, such as info or annals=debug
    #[arg(
        long,
        env = "ANNALS_LOG",
        value_name = "FILTER",
        default_value = "warn"
    )]
    log: String,
}

/// What the first screen tells of.
pub(super) struct Started<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) listen: SocketAddr,
    dir: &'a DataDir,
}

impl Args {
    /// A server on a directory that goes with it.
    pub(super) fn ephemeral(listen: SocketAddr, log: String) -> Self {
        Self {
            config: None,
            data_dir: PathBuf::new(),
            listen,
            tls_sans: Vec::new(),
            ephemeral: true,
            cache_size: Size(CACHE_BYTES),
            keep: Vec::new(),
            audit_log: None,
            log,
        }
    }
}

/// Memory for pages when nothing is said.
const CACHE_BYTES: u64 = 256 * 1024 * 1024;

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    start(args, |started| Ok(first_screen(started))).await
}

/// Serves until a signal comes. `screen` is what is printed when clients may come.
pub(super) async fn start(
    args: Args,
    screen: impl FnOnce(&Started<'_>) -> Result<String, Failure>,
) -> Result<Exit, Failure> {
    log(&args.log)?;
    let dir = if args.ephemeral {
        DataDir::ephemeral()?
    } else {
        DataDir::open(&args.data_dir)?
    };
    // The store's lock comes first: whoever has the directory has everything in it.
    let store = super::local::open(dir.path(), args.cache_size, &args.keep)?;
    let (listener, listen) = net::bind(args.listen).await?;
    let wish = Wish {
        listen,
        tls_sans: &args.tls_sans,
        now: Timestamp::now(),
    };
    let prepared = prepare(&dir, &wish)?;
    let shutdown = Shutdown::on_signals()
        .map_err(|why| Failure::new(Exit::Failed, format!("cannot wait for signals: {why}")))?;
    let api = super::local::api(&store, shutdown.clone())?;
    let logins = api
        .logins()
        .map_err(|why| Failure::new(Exit::Failed, format!("cannot check logins: {why}")))?;
    let audit = audit(args.audit_log.as_deref(), dir.path())?;
    let gate = prepared.gate.clone().with_logins(logins).with_audit(audit);
    let app = net::door(app(&store, &shutdown, api), gate);
    print::out(&screen(&Started {
        prepared: &prepared,
        listen,
        dir: &dir,
    })?)?;
    let drained = net::serve(listener, prepared.tls, app, Limits::default(), shutdown).await;
    store.close();
    if drained.cut > 0 {
        eprintln!(
            "stopped; {} connections were still busy and were cut",
            drained.cut
        );
    }
    Ok(Exit::Done)
}

fn audit(file: Option<&Path>, directory: &Path) -> Result<Audit, Failure> {
    if file == Some(Path::new("-")) {
        return Ok(Audit::to_errors());
    }
    let file = file.map_or_else(|| directory.join("audit.log"), Path::to_owned);
    Audit::to_file(&file).map_err(|why| {
        let what = format!("cannot open the audit log {}: {why}", file.display());
        Failure::new(Exit::Failed, what)
    })
}

/// What is served behind the door.
fn app(store: &Store, shutdown: &Shutdown, api: api::Api) -> Router {
    let (written, indexed) = (store.clone(), store.clone());
    let health = Health::new(shutdown.clone())
        .check("store", move || written.write_failure().map_or(Ok(()), Err))
        .note("index", move || indexed.index_report().reason());
    health.routes().merge(api::routes(api))
}

fn log(filter: &str) -> Result<(), Failure> {
    let wrong = |why: String| {
        Failure::new(
            Exit::Usage,
            format!("--log {filter:?}: expected a filter such as info: {why}"),
        )
    };
    let filter = EnvFilter::try_new(filter).map_err(|why| wrong(why.to_string()))?;
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    logger.try_init().map_err(|why| wrong(why.to_string()))
}

fn first_screen(started: &Started<'_>) -> String {
    let (prepared, listen) = (started.prepared, started.listen);
    let kubeconfig = prepared.kubeconfig.display();
    let token = if prepared.new_token {
        " (with a new token)"
    } else {
        ""
    };
    format!(
        "annals {} listens on https://{listen}\n\
         data directory  {}\n\
         kubeconfig      {kubeconfig}{token}\n\
         \n\
         Try:\n  \
           export KUBECONFIG={}\n  \
           kubectl get playlists\n  \
           annals search '*'\n",
        env!("CARGO_PKG_VERSION"),
        started.dir.path().display(),
        quote(&kubeconfig.to_string()),
    )
}

/// `text` as one word of a shell.
pub(super) fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected IP:PORT, such as 127.0.0.1:6443".to_owned())
}

#[cfg(test)]
mod tests {
    //! Catches a line of the first screen that a shell reads as something else.
    use super::*;

    #[test]
    fn quotes_for_the_shell() {
        assert_eq!(quote("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quote("/a b"), "'/a b'");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }
}
