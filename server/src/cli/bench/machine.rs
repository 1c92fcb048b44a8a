//! Where a bench ran: what a reader must know before comparing its figures with others.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// A machine, and the file system under a directory.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
    pub(super) kernel: String,
    /// The type of the file system; empty when the store is not on this machine.
    pub(super) file_system: String,
}

impl Machine {
    /// This machine, with the file system of this directory.
    pub(super) fn this(directory: Option<&Path>) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let directory = directory.and_then(|directory| directory.canonicalize().ok());
        let found = directory.and_then(|directory| file_system(&mounts, &directory));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            kernel: kernel.trim().to_owned(),
            file_system: found.unwrap_or_default(),
        }
    }
}

/// The type of the file system that a path is on: that of the longest mount point above it, the
/// last one when one is mounted over another.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let found = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        path.starts_with(point).then_some((point.len(), kind))
    });
    let (_, kind) = found.max_by_key(|(length, _)| *length)?;
    kind.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    //! Catches figures that are told to come from another file system.
    use super::*;

    #[test]
    fn the_longest_mount_point_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /tmp rw shared:1 - tmpfs t rw\n\
                      3 1 8:2 / /data rw - btrfs /dev/b rw\n4 1 8:3 / /data rw - xfs /dev/c rw\n";
        for (path, expected) in [
            ("/home/x", "ext4"),
            ("/tmp/x", "tmpfs"),
            ("/tmpx", "ext4"),
            ("/data/x", "xfs"),
        ] {
            let found = file_system(mounts, Path::new(path));
            assert_eq!(found.as_deref(), Some(expected), "{path}");
        }
        assert_eq!(file_system("", Path::new("/")), None);
    }
}
