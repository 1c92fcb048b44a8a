//! A slower disk for all embedded engines alike: this program again, with a small library in
//! front of the C library's syncs. It is compiled when it is needed, by `cc`. It does not reach
//! etcd, which calls the system itself.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = include_str!("slow.c");
const DELAY: &str = "ANNALS_SYNC_US";

/// What each sync costs more than the disk takes, in microseconds.
pub(crate) fn delay_us() -> u64 {
    let text = std::env::var(DELAY).unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// Begins this program anew with slower syncs, unless it has them already.
pub(crate) fn slow_down(milliseconds: u64, folder: &Path) {
    if milliseconds == 0 || delay_us() > 0 {
        return;
    }
    let (source, library) = (folder.join("slow.c"), folder.join("slow.so"));
    std::fs::write(&source, SOURCE).expect("a file");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl"])
        .status();
    match compiled {
        Ok(status) if status.success() => {}
        _ => {
            eprintln!("slower syncs need a C compiler, cc");
            std::process::exit(1);
        }
    }
    let own = std::env::current_exe().expect("this program");
    let cause = Command::new(own)
        .args(std::env::args_os().skip(1))
        .env("LD_PRELOAD", &library)
        .env(DELAY, (milliseconds * 1000).to_string())
        .exec();
    panic!("this program again: {cause}");
}
