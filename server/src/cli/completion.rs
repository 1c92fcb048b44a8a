//! `annals completion` and `annals man`: what a shell and a reader of manuals need, made from the
//! commands themselves.

use std::path::PathBuf;

use clap::{Args as Flags, Command, ValueEnum};
use clap_complete::{generate, shells};
use clap_mangen::Man;

use super::{Exit, Failure, print};

#[derive(Debug, Flags)]
pub(super) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// source <(annals completion bash)
    Bash,
    /// annals completion zsh > a folder of $fpath/_annals
    Zsh,
    /// annals completion fish | source
    Fish,
}

#[derive(Debug, Flags)]
pub(super) struct Manual {
    /// The command; without it, the page of annals
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    words: Vec<String>,
    /// Write the pages of all commands into this folder, which is there
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Prints a script that completes what is typed.
pub(super) fn completion(args: &Completion, mut annals: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let out = &mut script;
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut annals, "annals", out),
        Shell::Zsh => generate(shells::Zsh, &mut annals, "annals", out),
        Shell::Fish => generate(shells::Fish, &mut annals, "annals", out),
    }
    print::out(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints a page of the manual, or writes all of them.
pub(super) fn manual(args: &Manual, annals: Command) -> Result<Exit, Failure> {
    let failed = |why: std::io::Error| {
        let place = args.to.as_ref().map(|to| format!("{}: ", to.display()));
        let why = format!(
            "{}cannot write the manual: {why}",
            place.unwrap_or_default()
        );
        Failure::new(Exit::Failed, why)
    };
    if let Some(to) = &args.to {
        clap_mangen::generate_to(annals, to).map_err(failed)?;
        return Ok(Exit::Done);
    }
    let mut annals = annals.disable_help_subcommand(true);
    annals.build();
    let mut command = &annals;
    for word in &args.words {
        let below = command.find_subcommand(word);
        command = below.ok_or_else(|| {
            let why = format!("{word:?}: there is no such command; `annals --help` lists them");
            Failure::new(Exit::Usage, why)
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(failed)?;
    print::out(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}
