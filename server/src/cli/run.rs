//! Parsing the command line and running the command it names.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use super::config::Settings;
use super::exit::TABLE;
use super::{
    Exit, Failure, account, apply, backup, bench, check, compact, completion, config, delete, dev,
    diff, edit, export, get, history, import, index, print, repair, restore, revive, search, serve,
    trash, verify, watch,
};

/// Keep the annals of Kubernetes-style resources: every object, every revision, in one order.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = TABLE, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Kubernetes API from a data directory
    Serve(serve::Args),
    /// Serve from a directory that goes with the process, to try something
    Dev(dev::Args),
    /// Print objects
    Get(get::Args),
    /// Follow what changes
    Watch(watch::Args),
    /// Make objects say what files say
    Apply(apply::Args),
    /// Change an object in an editor
    Edit(edit::Args),
    /// Delete objects; their history stays
    Delete(delete::Args),
    /// Print what was deleted, the latest first
    Trash(trash::Args),
    /// Bring an object back as it was at a version, or out of the trash
    Restore(revive::Args),
    /// Print the revisions of an object, newest first
    History(history::Args),
    /// Print what changed between two revisions of an object
    Diff(diff::Args),
    /// Search the text of objects
    Search(search::Args),
    /// Say who may come in, and where
    #[command(subcommand)]
    User(account::User),
    /// Look after the tokens by which programs come in
    #[command(subcommand)]
    Token(account::Token),
    /// Look after the search index
    #[command(subcommand)]
    Index(index::Command),
    /// Write objects, or every revision, to a file
    Export(export::Args),
    /// Bring in objects from files
    #[command(subcommand)]
    Import(import::Command),
    /// Write a backup, of a server that runs or of a data directory
    Backup(backup::Args),
    /// Make a data directory of a backup
    RestoreBackup(restore::Args),
    /// Prove that a backup is whole, without restoring it
    Verify(verify::Args),
    /// Measure the standard workloads, on a directory of their own or a server
    Bench(bench::Args),
    /// Prove that a store is whole, or say where it is damaged
    Check(check::Args),
    /// Make a whole store of what can be read of a damaged data directory
    Repair(repair::Args),
    /// Give back the space that a data directory does not need; or, with --to, forget what came
    /// before a version
    Compact(compact::Args),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::Config),
    /// Print a script that completes commands as they are typed
    Completion(completion::Completion),
    /// Print a page of the manual, or write all of them
    Man(completion::Manual),
    /// Print the version
    Version,
}

/// Runs the command line of this process and returns its exit code.
pub fn run() -> ExitCode {
    let done = parse().and_then(|line| match line {
        Ok(line) => dispatch(line),
        Err(error) => {
            // Help and version come this way too, and end well.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // Nobody is left to tell when this fails.
            let _ = error.print();
            Ok(exit)
        }
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("error: {}", print::clean(&failure.message));
            failure.exit.into()
        }
    }
}

/// The command line, read.
struct Line {
    command: Command,
    matches: ArgMatches,
    /// The file of settings, if one is named.
    settings: Option<Settings>,
}

/// Reads the command line; a second time when it names a file of settings, with what that says as
/// defaults.
fn parse() -> Result<Result<Line, clap::Error>, Failure> {
    let first = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return Ok(Err(error)),
    };
    let settings = Settings::find(&Cli::command(), &first)?;
    let matches = match &settings {
        Some(settings) => {
            let again = settings.put(Cli::command()).try_get_matches();
            again.map_err(|error| settings.refuse(&error))?
        }
        None => first,
    };
    let read = Cli::from_arg_matches(&matches);
    Ok(read.map(|cli| Line {
        command: cli.command,
        matches,
        settings,
    }))
}

fn dispatch(line: Line) -> Result<Exit, Failure> {
    match line.command {
        Command::Config(config::Config::Show(args)) => {
            let settings = line.settings.as_ref();
            config::show(&args, &Cli::command(), &line.matches, settings)
        }
        Command::Serve(args) => runtime(Builder::new_multi_thread())?.block_on(serve::run(args)),
        Command::Dev(args) => runtime(Builder::new_multi_thread())?.block_on(dev::run(args)),
        Command::Get(args) => alone(get::run(args)),
        Command::Watch(args) => alone(watch::run(args)),
        Command::Apply(args) => alone(apply::run(args)),
        Command::Edit(args) => alone(edit::run(args)),
        Command::Delete(args) => alone(delete::run(args)),
        Command::Trash(args) => alone(trash::run(args)),
        Command::Restore(args) => alone(revive::run(args)),
        Command::History(args) => alone(history::run(args)),
        Command::Diff(args) => alone(diff::run(args)),
        Command::Search(args) => alone(search::run(args)),
        Command::User(command) => alone(account::user(command)),
        Command::Token(command) => alone(account::token(command)),
        Command::Index(command) => alone(index::run(command)),
        Command::Export(args) => alone(export::run(args)),
        Command::Import(command) => alone(import::run(command)),
        Command::Backup(args) => alone(backup::run(args)),
        Command::RestoreBackup(args) => restore::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Check(args) => alone(check::run(args)),
        Command::Repair(args) => repair::run(&args),
        Command::Compact(args) => alone(compact::run(args)),
        Command::Completion(args) => completion::completion(&args, Cli::command()),
        Command::Man(args) => completion::manual(&args, Cli::command()),
        Command::Version => {
            print::out(concat!("annals ", env!("CARGO_PKG_VERSION"), "\n"))?;
            Ok(Exit::Done)
        }
    }
}

/// Runs a command that only waits for a server.
fn alone(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    runtime(Builder::new_current_thread())?.block_on(command)
}

fn runtime(mut builder: Builder) -> Result<Runtime, Failure> {
    let started = builder.enable_all().build();
    started.map_err(|why| Failure::new(Exit::Failed, format!("cannot start threads: {why}")))
}

#[cfg(test)]
mod tests {
    //! Catches a command line that clap cannot build, and one that is read as something else.
    use super::*;

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn accepts_and_refuses() {
        for (line, fits) in [
            (
                "serve --data-dir d --listen 127.0.0.1:0 --tls-san a --tls-san b --ephemeral",
                true,
            ),
            ("serve --listen nowhere", false),
            ("serve --cache-size 256MiB", true),
            ("serve --cache-size many", false),
            ("config show --origin --listen 127.0.0.1:1 -o json", true),
            ("config show --listen nowhere", false),
            ("config", false),
            ("serve --config c.yaml", true),
            ("dev", true),
            ("dev --listen 127.0.0.1:7000 --log info", true),
            ("dev --data-dir d", false),
            ("completion zsh", true),
            ("completion", false),
            ("completion tcsh", false),
            ("man", true),
            ("man user add", true),
            ("man --to d", true),
            ("man get --to d", false),
            ("get playlists", true),
            ("get playlists x -n ns -o yaml", true),
            ("get playlists -A -l a=b", true),
            ("get playlists x -A", false),
            ("get playlists x -l a=b", false),
            ("get playlists -n ns -A", false),
            ("get playlists -o xml", false),
            ("get", false),
            ("apply -f a.yaml -f - -n ns --dry-run -o name", true),
            ("apply", false),
            ("apply a.yaml", false),
            ("delete playlist a b -n ns", true),
            ("delete playlist", false),
            ("edit playlist a --data-dir d", true),
            ("edit playlist", false),
            ("trash playlists -A -o json", true),
            ("trash playlists -A -n ns", false),
            ("trash", false),
            ("restore playlist a", true),
            ("restore playlist a --version 7 -o yaml", true),
            ("restore playlist a --version x", false),
            ("watch playlists -A -l a=b --since 7 --count 1", true),
            ("watch playlist a -A", false),
            ("watch playlists --count 0", false),
            ("history playlist x --limit 5", true),
            ("history playlist x --limit 0", false),
            ("diff playlist x --from 1 --to 2", true),
            ("diff playlist x --from one", false),
            ("diff playlist x --format paths --color always", true),
            ("diff playlist x --color red", false),
            ("search text --color never", true),
            (
                "search text --type dashboard --tag a --tag b --folder f --limit 3",
                true,
            ),
            (
                "user add ann --role viewer -n a --folder f --folder g",
                true,
            ),
            ("user add ann --role admin --no-password", true),
            ("user add ann --role owner", false),
            ("user add ann -n a", false),
            ("user add ann --role viewer --folder f", false),
            ("user add ann --password-stdin --no-password", false),
            ("user list -o json", true),
            ("user passwd ann --password-stdin", true),
            ("user kubeconfig ann", true),
            ("user remove", false),
            ("token create bot --role editor -n a", true),
            ("token create bot --user ann", true),
            ("token create bot --user ann --role editor", false),
            ("token create bot", false),
            ("token revoke bot", true),
            ("search text --as ann", true),
            ("search text --as ann --data-dir d", false),
            ("index status", true),
            ("index rebuild", true),
            ("index", false),
            ("import dashboards dir --folder f --namespace ns", true),
            ("import dashboards dir", false),
            ("import file a.ndjson b.yaml --data-dir d", true),
            ("import file", false),
            ("export", true),
            ("export pl db -n ns -l a=b -o parquet -f x", true),
            ("export --history --data-dir d", true),
            ("export --history", false),
            ("export --history --kubeconfig k", false),
            ("export -o xml", false),
            ("backup -f x", true),
            ("backup -f - --since 7 --data-dir d", true),
            ("backup --to d", true),
            ("backup --to d --follow --every 5", true),
            ("backup --follow", false),
            ("backup --to d --every 5", false),
            ("backup --to d --follow --every 0", false),
            ("backup --to d -f x", false),
            ("backup --to d --since 7", false),
            ("backup --to d --follow --data-dir e", false),
            ("backup --since 07", false),
            ("restore-backup a b --data-dir d", true),
            (
                "restore-backup a --data-dir d --to-version 7 --no-check",
                true,
            ),
            (
                "restore-backup a --data-dir d --to-time 2030-01-01T00:00:00Z",
                true,
            ),
            ("restore-backup a --data-dir d --to-time noon", false),
            (
                "restore-backup a --data-dir d --to-time 2030-01-01T00:00:00Z --to-version 7",
                false,
            ),
            ("restore-backup a", false),
            ("restore-backup --data-dir d", false),
            ("verify a b", true),
            ("verify", false),
            ("check", true),
            ("check --data-dir d -o json", true),
            ("check --data-dir d --kubeconfig k", false),
            ("compact", true),
            (
                "compact --data-dir d --keep revisions=1 --keep trash=1d;",
                true,
            ),
            ("compact --data-dir d --kubeconfig k", false),
            ("compact --keep revisions=1 --kubeconfig k", false),
            ("compact namespaces --to 7", true),
            (
                "compact dashboards.dashboard.grafana.app/a --to 7 --data-dir d",
                true,
            ),
            ("compact namespaces --to 7 --keep revisions=1", false),
            ("compact namespaces", false),
            ("compact --to 7", false),
            ("compact nothing --to 7", false),
            ("compact namespaces --to seven", false),
            ("repair --data-dir d", true),
            ("repair", false),
            ("bench --data-dir d", true),
            ("bench create get --server --count 5 --size 8KiB", true),
            ("bench", false),
            ("bench --data-dir d --server", false),
            ("bench --server --keep", false),
            ("bench --data-dir d --callers 0", false),
            ("bench --data-dir d --size 1MiB", false),
            ("bench --data-dir d --count 1 --seconds 1", false),
            ("bench sleep --data-dir d", false),
            ("version", true),
            ("nonsense", false),
        ] {
            let words = std::iter::once("annals").chain(line.split(' '));
            let parsed = Cli::try_parse_from(words);
            assert_eq!(parsed.is_ok(), fits, "{line}: {:?}", parsed.err());
        }
    }
}
