//! The `annals` binary: parse the command line, run it, leave with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    annals_server::cli::run()
}
