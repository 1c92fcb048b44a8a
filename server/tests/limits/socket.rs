//! Would catch a client that gets more of the socket than its share: heads, streams, watches,
//! cancelled requests, memory for what it does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annals_server::limits::{
    EARLY_RESETS, ERROR_RESETS, HEADER_BYTES, HEADER_FIELDS, SEND_BUFFER_BYTES, STREAMS,
    WATCHES_PER_CLIENT,
};
use annals_server::net::Limits;
use annals_server::setup::DataDir;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get as on_get;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::server::{DASHBOARDS, Server, assert_refused, request};
use crate::site::{Answer, PATIENCE, Site, dial, h2, start};

/// Sends bytes over a connection of its own, and reads until the server closes.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let site = server.site();
    server.runtime.block_on(async {
        let stream = dial(site.address, &site.keys, true, "localhost", "http/1.1").await;
        let mut stream = stream.unwrap();
        // The server may be gone before the request is out.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("an answer");
        String::from_utf8(answer).unwrap()
    })
}

/// A head of this many bytes.
fn head(bytes: usize) -> String {
    let start = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: ";
    let end = "\r\n\r\n";
    let filler = "y".repeat(bytes - start.len() - end.len());
    format!("{start}{filler}{end}")
}

/// Hyper refuses a head by itself: there is a status, but no Status.
pub(crate) fn header_bytes(server: &Server) {
    assert!(raw(server, head(HEADER_BYTES).as_bytes()).starts_with("HTTP/1.1 200 "));
    for bytes in [HEADER_BYTES + 1, 1_000_000] {
        let answer = raw(server, head(bytes).as_bytes());
        // So large a head is cut before it is read to its end: the answer may get lost.
        let refused = answer.starts_with("HTTP/1.1 431 ");
        assert!(
            refused || (answer.is_empty() && bytes > HEADER_BYTES + 1),
            "{answer}"
        );
    }
}

pub(crate) fn header_fields(server: &Server) {
    let ask = |fields: usize| {
        let own = "host: localhost\r\nconnection: close\r\n".to_owned();
        let more: String = (2..fields).map(|at| format!("x-{at}: y\r\n")).collect();
        raw(
            server,
            format!("GET /livez HTTP/1.1\r\n{own}{more}\r\n").as_bytes(),
        )
    };
    assert!(ask(HEADER_FIELDS).starts_with("HTTP/1.1 200 "));
    for fields in [HEADER_FIELDS + 1, 10 * HEADER_FIELDS] {
        assert!(ask(fields).starts_with("HTTP/1.1 431 "), "{fields}");
    }
}

type Watching = hyper::Response<Incoming>;

/// Opens a watch as a user of this name.
async fn open(sender: &mut hyper::client::conn::http2::SendRequest<Body>, user: &str) -> Watching {
    let watch = request("GET", &format!("{DASHBOARDS}?watch=1&resourceVersion=1"))
        .header("impersonate-user", user)
        .header("impersonate-group", "system:masters");
    let watch = sender.send_request(watch.body(Body::empty()).unwrap());
    timeout(PATIENCE, watch).await.expect("an answer").unwrap()
}

pub(crate) fn streams(server: &Server) {
    server.runtime.block_on(async {
        let mut sender = h2(server.site()).await;
        let mut watches = Vec::new();
        for _ in 0..STREAMS {
            let watch = open(&mut sender, "streams").await;
            assert_eq!(watch.status(), 200);
            watches.push(watch);
        }
        let mut beyond = Box::pin(open(&mut sender, "streams"));
        let early = timeout(Duration::from_millis(100), &mut beyond).await;
        assert!(early.is_err(), "one more than {STREAMS}");
        drop(watches.pop());
        assert_eq!(beyond.await.status(), 200);
    });
}

pub(crate) fn watches_per_client(server: &Server) {
    server.runtime.block_on(async {
        let (mut senders, mut watches) = (Vec::new(), Vec::new());
        for at in 0..WATCHES_PER_CLIENT {
            if at % STREAMS == 0 {
                // Not before it is used: the server closes a connection that says nothing.
                senders.push(h2(server.site()).await);
            }
            let watch = open(senders.last_mut().unwrap(), "greedy").await;
            assert_eq!(watch.status(), 200, "watch {at}");
            watches.push(watch);
        }
        let mut sender = h2(server.site()).await;
        let last = &mut sender;
        for _ in 0..STREAMS {
            let refused = Answer::read(open(last, "greedy").await).await;
            assert_eq!(refused.headers["retry-after"], "10");
            assert_refused(&refused, 429, "1000 watches");
        }
        // Others are not concerned, and a place that is left can be taken.
        assert_eq!(open(last, "modest").await.status(), 200);
        watches.pop();
        let again = async {
            while open(last, "greedy").await.status() != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, again).await.expect("a place");
    });
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Sends frames made for each of `count` streams, then a ping; whether the ping is answered
/// before the server says goodbye.
fn survives(server: &Server, count: usize, frames: impl Fn(u32) -> Vec<u8>) -> bool {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    for at in 0..u32::try_from(count).unwrap() {
        bytes.extend(frames(2 * at + 1));
    }
    bytes.extend(frame(PING, 0, 0, b"still on"));
    let site = server.site();
    server.runtime.block_on(async {
        let stream = dial(site.address, &site.keys, true, "localhost", "h2").await;
        let (mut read, mut write) = tokio::io::split(stream.unwrap());
        let writing = async {
            // The server may have gone before all is out.
            let _ = write.write_all(&bytes).await;
            let _ = write.flush().await;
            std::future::pending::<()>().await;
        };
        let reading = async {
            let mut head = [0; 9];
            while read.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                if head[3] == GOAWAY || read.read_exact(&mut payload).await.is_err() {
                    return false;
                }
                if head[3] == PING && payload == b"still on" {
                    return true;
                }
            }
            false
        };
        tokio::select! {
            () = writing => false,
            survived = timeout(PATIENCE, reading) => survived.expect("an answer"),
        }
    })
}

/// A request for `/`, in the static table of HPACK: GET, https, `/`; and an authority.
const ASK: [u8; 6] = [0x82, 0x87, 0x84, 0x41, 0x01, b'x'];
const END: u8 = 0x4 | 0x1;

/// How many are counted depends on how fast the server accepts, so there is no edge to look at:
/// up to the limit nobody is cut, and far beyond it everybody.
pub(crate) fn early_resets(server: &Server) {
    let cancelled = |stream: u32| {
        let mut bytes = frame(HEADERS, END, stream, &ASK);
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        bytes
    };
    assert!(survives(server, EARLY_RESETS, cancelled));
    assert!(!survives(server, 100 * EARLY_RESETS, cancelled));
}

pub(crate) fn error_resets(server: &Server) {
    let broken = |stream: u32| {
        // A body is announced and does not come: the server resets the stream.
        let mut ask = ASK.to_vec();
        ask.extend(b"\x00\x0econtent-length\x015");
        frame(HEADERS, END, stream, &ask)
    };
    assert!(survives(server, ERROR_RESETS, broken));
    assert!(!survives(server, ERROR_RESETS + 1, broken));
    assert!(!survives(server, 20 * ERROR_RESETS, broken));
}

/// A body that always has more, and counts what was taken.
struct Spring(Arc<AtomicUsize>);

impl hyper::body::Body for Spring {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        const DROP: &[u8] = &[b'.'; 1024];
        self.0.fetch_add(DROP.len(), Ordering::SeqCst);
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(DROP)))))
    }
}

/// The socket of a client that does not read an endless answer, and how much was taken of it.
async fn stalled(site: &Site, window: u32) -> (Incoming, tokio::task::JoinHandle<()>) {
    let stream = dial(site.address, &site.keys, true, "localhost", "h2").await;
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream.unwrap()))
        .await
        .unwrap();
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    let request = request("GET", "/spring").body(Body::empty()).unwrap();
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    (answer.unwrap().unwrap().into_body(), connection)
}

/// What is taken from an answer and not read is at most what the client's window and the buffer
/// hold, however long it goes on.
pub(crate) fn send_buffer_bytes(server: &Server) {
    const WINDOW: u32 = 64 * 1024;
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let spring = move || async move { Body::new(Spring(counted)) };
    let dir = DataDir::ephemeral().unwrap();
    server.runtime.block_on(async {
        let app = Router::new().route("/spring", on_get(spring));
        let site = start(&dir, &[], Limits::default(), app).await;
        let (mut body, connection) = stalled(&site, WINDOW).await;
        let mut before = 0;
        while before == 0 || before != taken.load(Ordering::SeqCst) {
            before = taken.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // A frame may go over the edge.
        let most = WINDOW as usize + SEND_BUFFER_BYTES + 32 * 1024;
        assert!(
            before <= most,
            "{before} bytes are taken, {most} have a place"
        );
        // Who reads gets more.
        for _ in 0..1_000 {
            body.frame().await.unwrap().unwrap();
        }
        assert!(taken.load(Ordering::SeqCst) > before);
        connection.abort();
        site.shutdown.begin();
    });
}
