//! Catches a gap or a double where a watch goes on after the server was killed.

use annals_server::client::{Client, Path};
use tokio::task::JoinSet;

use super::{PLAYLISTS, Short, Stream, body, short, version};
use crate::server::Server;

/// Creates objects until the server does not answer. The answer is what was acknowledged.
async fn write(client: Client, prefix: String) -> Vec<Short> {
    let mut acknowledged = Vec::new();
    for i in 0.. {
        let name = format!("{prefix}-{i}");
        let object = body(&name, "T", "x");
        match client.post(&Path::new(PLAYLISTS), Some(&object)).await {
            Ok(made) => acknowledged.push(short("ADDED", &name, "T", version(&made))),
            Err(refused) if refused.code().is_some() => panic!("{name}: {refused}"),
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gap_and_no_double_over_kills() {
    let mut server = Server::start().await;
    let mut seen: Vec<Short> = Vec::new();
    let mut promised: Vec<Short> = Vec::new();
    for round in 0..4 {
        let from = seen.last().map_or(1, |last| last.3);
        let mut watch = Stream::open(&server, &format!("resourceVersion={from}")).await;
        let mut writers = JoinSet::new();
        for writer in 0..3 {
            writers.spawn(write(server.client(), format!("r{round}w{writer}")));
        }
        // The watch is somewhere behind the writers when the server goes.
        while seen.len() < 30 * (round + 1) {
            seen.push(watch.short().await);
        }
        server.kill().await;
        seen.extend(watch.rest().await.iter().map(Short::of));
        promised.extend(writers.join_all().await.into_iter().flatten());
        server.start_again().await;
    }
    let mut last = Stream::open(
        &server,
        &format!("resourceVersion={}", seen.last().unwrap().3),
    )
    .await;
    let end = super::create(&server, "end", "end", "x").await;
    while seen.last().unwrap().3 < end {
        seen.push(last.short().await);
    }
    let versions: Vec<u64> = seen.iter().map(|event| event.3).collect();
    let consecutive: Vec<u64> = (2..=end).collect();
    assert_eq!(versions, consecutive);
    assert!(!promised.is_empty());
    for event in promised {
        assert!(
            seen.contains(&event),
            "{event:?} was acknowledged and never seen"
        );
    }
}
