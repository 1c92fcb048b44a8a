//! A local etcd server, spoken to over gRPC as its own clients do: one connection that all callers
//! share. It keeps history by itself. It is another process on the same processors, so its
//! figures hold the cost of being a server; the others are in process.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::engine::{Caller, Engine, Put};
use crate::objects;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// `etcdserverpb.PutRequest`, the fields that are used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.PutResponse`: nothing of it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

pub(crate) struct Etcd {
    server: Child,
    runtime: Runtime,
    channel: Channel,
}

impl Etcd {
    /// Starts a server on this directory; `None` when there is none to start.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        Command::new("etcd")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .ok()?;
        let port = || {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
            let address = socket.local_addr().expect("an address");
            format!("http://127.0.0.1:{}", address.port())
        };
        let (client, peer) = (port(), port());
        let server = Command::new("etcd")
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(["--quota-backend-bytes", "8589934592", "--logger", "zap"])
            .env_remove("LD_PRELOAD")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd");
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let endpoint = Endpoint::from_shared(client).expect("an address");
        let started = Instant::now();
        let channel = loop {
            match runtime.block_on(endpoint.connect()) {
                Ok(channel) => break channel,
                Err(cause) => assert!(started.elapsed() < PATIENCE, "etcd: {cause}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let etcd = Etcd {
            server,
            runtime,
            channel,
        };
        // It answers before it has a leader, with an error.
        while let Err(cause) = etcd.runtime.block_on(put(etcd.channel.clone(), Vec::new())) {
            assert!(started.elapsed() < PATIENCE, "etcd: {cause}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(etcd)
    }
}

async fn put(channel: Channel, value: Vec<u8>) -> Result<(), tonic::Status> {
    put_at(channel, b"probe".to_vec(), value).await
}

async fn put_at(channel: Channel, key: Vec<u8>, value: Vec<u8>) -> Result<(), tonic::Status> {
    let mut client = Grpc::new(channel);
    let unready = |cause| tonic::Status::unavailable(format!("{cause}"));
    client.ready().await.map_err(unready)?;
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
    let codec: ProstCodec<PutRequest, PutResponse> = ProstCodec::default();
    let request = tonic::Request::new(PutRequest { key, value });
    client.unary(request, path, codec).await.map(drop)
}

impl Engine for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn process(&self) -> Option<u32> {
        Some(self.server.id())
    }

    fn caller(&self) -> Caller<'_> {
        let channel = self.channel.clone();
        Box::new(move |item: Put| {
            let key = objects::key(item.number).into_bytes();
            let done = self
                .runtime
                .block_on(put_at(channel.clone(), key, item.body));
            done.expect("a put");
        })
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
