//! Catches a way past the gate, a client that holds the server up or takes it down, a stop that
//! loses requests, and a restart that the administrator's kubeconfig does not survive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use annals_server::client::Path;
use annals_server::net::{
    BODY_BYTES_MAX, BODY_TIME_MAX, Drained, Health, Identity, Limits, PUBLIC_PATHS, Shutdown,
    URI_BYTES_MAX, read_body,
};
use annals_server::setup::DataDir;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get as on_get, post as on_post};
use axum::{Extension, Router};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::site::{Answer, PATIENCE, Site, admin, ask, dial, get, h2, start, start_with};

const UNAUTHORIZED: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;

async fn who(Extension(identity): Extension<Identity>, headers: HeaderMap) -> String {
    assert!(
        !headers.contains_key("authorization"),
        "a handler has no need of the secret"
    );
    format!("{} {}", identity.user, identity.groups.join(","))
}

async fn length(body: Body) -> Response {
    match read_body(body, BODY_BYTES_MAX, BODY_TIME_MAX).await {
        Ok(bytes) => bytes.len().to_string().into_response(),
        Err(error) => error.into_response(),
    }
}

async fn impatient(body: Body) -> Response {
    read_body(body, BODY_BYTES_MAX, Duration::from_millis(50))
        .await
        .map_or_else(IntoResponse::into_response, |bytes| {
            bytes.len().to_string().into_response()
        })
}

async fn fail() -> &'static str {
    panic!("planted")
}

fn app() -> Router {
    Health::new(Shutdown::new())
        .check("planted", || Err("secret name".into()))
        .routes()
        .route("/who", on_get(who))
        .route("/length", on_post(length))
        .route("/impatient", on_post(impatient))
        .route("/fail", on_get(fail))
}

async fn running() -> (DataDir, Site) {
    let dir = DataDir::ephemeral().unwrap();
    let site = start(&dir, &[], Limits::default(), app()).await;
    (dir, site)
}

fn with_token(path: &str, token: &str) -> Request<Body> {
    get(path)
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap()
}

fn plain(path: &str) -> Request<Body> {
    get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn only_a_proof_opens_the_gate() {
    let (_dir, site) = running().await;
    let token = site.keys.token.clone();
    for (with_certificate, request, expected) in [
        (false, plain("/who"), None),
        (false, plain("/nowhere"), None),
        (false, plain("/livez/more"), None),
        (false, plain("//livez"), None),
        (false, with_token("/who", "other"), None),
        (true, with_token("/who", "other"), None),
        (false, with_token("/livez", "other"), None),
        (
            false,
            with_token("/who", &token),
            Some("admin system:masters,system:authenticated"),
        ),
        (
            true,
            plain("/who"),
            Some("admin system:masters,system:authenticated"),
        ),
        (
            true,
            with_token("/who", &token),
            Some("admin system:masters,system:authenticated"),
        ),
    ] {
        let told = format!("{with_certificate} {request:?}");
        let answer = ask(&site, with_certificate, request).await;
        match expected {
            Some(body) => assert_eq!(
                (answer.status, &*answer.body),
                (StatusCode::OK, body),
                "{told}"
            ),
            None => {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{told}");
                assert_eq!(answer.body, UNAUTHORIZED, "{told}");
            }
        }
    }
}

#[tokio::test]
async fn anyone_may_ask_for_health_and_learns_no_names() {
    let (_dir, site) = running().await;
    for path in PUBLIC_PATHS {
        let answer = ask(&site, false, plain(&format!("{path}?verbose"))).await;
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            !answer.body.contains("planted") && !answer.body.contains("secret"),
            "{path}"
        );
    }
    let answer = ask(&site, true, plain("/readyz")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        answer.body.contains("[-]planted failed: secret name"),
        "{}",
        answer.body
    );
    assert_eq!(ask(&site, false, plain("/livez")).await.body, "ok");
    let version = ask(&site, false, plain("/version")).await.body;
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert!(
        version["gitVersion"].as_str().unwrap().starts_with("v1."),
        "{version}"
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (_dir, site) = running().await;
    let (_other_dir, other) = running().await;
    let mut keys = site.keys.clone();
    keys.certificate.clone_from(&other.keys.certificate);
    keys.key.clone_from(&other.keys.key);
    // With TLS 1.3 the client learns of the refusal when it reads.
    let refused = match dial(site.address, &keys, true, "localhost", "http/1.1").await {
        Err(_) => true,
        Ok(mut stream) => {
            // The server may be gone before the request is out.
            let _ = stream
                .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                .await;
            let mut bytes = Vec::new();
            timeout(PATIENCE, stream.read_to_end(&mut bytes))
                .await
                .unwrap()
                .is_err()
        }
    };
    assert!(refused);
    let token = other.keys.token.clone();
    assert_eq!(
        ask(&site, false, with_token("/who", &token)).await.status,
        401
    );
}

#[tokio::test]
async fn an_administrator_may_speak_for_another() {
    let (_dir, site) = running().await;
    let request = get("/who")
        .header("impersonate-user", "ann")
        .header("impersonate-group", "g");
    let answer = ask(&site, true, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.body, "ann g,system:authenticated");
}

#[tokio::test]
async fn every_answer_is_marked() {
    let (_dir, site) = running().await;
    let mut ids = std::collections::HashSet::new();
    for (with_certificate, path) in [
        (true, "/who"),
        (false, "/who"),
        (true, "/fail"),
        (true, "/x"),
    ] {
        let answer = ask(&site, with_certificate, plain(path)).await;
        assert_eq!(
            answer.headers["cache-control"], "no-cache, private",
            "{path}"
        );
        assert!(ids.insert(answer.headers["audit-id"].clone()), "{path}");
        assert!(!answer.body.contains('\n'), "{path}");
    }
}

#[tokio::test]
async fn a_panic_ends_one_request() {
    let (_dir, site) = running().await;
    let mut sender = h2(&site).await;
    let slow = sender.send_request(with_uri("/who"));
    let failed = sender
        .clone()
        .send_request(with_uri("/fail"))
        .await
        .unwrap();
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = Answer::read(failed).await.body;
    assert!(
        body.contains(r#""reason":"InternalError""#) && !body.contains("planted"),
        "{body}"
    );
    assert_eq!(slow.await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        sender
            .send_request(with_uri("/who"))
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
}

fn with_uri(path: &str) -> Request<Body> {
    Request::get(format!("https://localhost{path}"))
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn heads_and_addresses_have_limits() {
    let (_dir, site) = running().await;
    for (size, status) in [(15_000, 200), (17_000, 431), (60_000, 431)] {
        let request = get("/who")
            .header("x", "y".repeat(size))
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            ask(&site, true, request).await.status,
            status,
            "http/1.1, {size}"
        );
        // Over HTTP/2 the server may end the stream instead of answering.
        let mut request = with_uri("/who");
        request
            .headers_mut()
            .insert("x", "y".repeat(size).parse().unwrap());
        let answer = timeout(PATIENCE, h2(&site).await.send_request(request))
            .await
            .unwrap();
        let got = answer.map_or(431, |answer| answer.status().as_u16());
        assert_eq!(got, status, "h2, {size}");
    }
    for (size, status) in [(URI_BYTES_MAX, 200), (URI_BYTES_MAX + 1, 414)] {
        let path = format!("/who?{}", "q".repeat(size - "/who?".len()));
        assert_eq!(
            ask(&site, true, plain(&path)).await.status,
            status,
            "{size}"
        );
    }
    let mut many = get("/who");
    for at in 0..200 {
        many = many.header(format!("x-{at}"), "y");
    }
    assert_eq!(
        ask(&site, true, many.body(Body::empty()).unwrap())
            .await
            .status,
        431
    );
}

#[tokio::test]
async fn bodies_have_limits() {
    let (_dir, site) = running().await;
    let post = |path: &str, body: Body| {
        Request::post(path)
            .header("host", "localhost")
            .body(body)
            .unwrap()
    };
    for (size, status) in [(0, 200), (BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413)] {
        let answer = ask(&site, true, post("/length", Body::from(vec![b' '; size]))).await;
        assert_eq!(answer.status, status, "{size}");
        if status == 200 {
            assert_eq!(answer.body, size.to_string());
        }
    }
    // A body that never ends, announced and not.
    let endless = || Body::new(Endless);
    assert_eq!(
        ask(&site, true, post("/length", endless())).await.status,
        413
    );
    let mut announced = post("/length", Body::new(Silent));
    announced
        .headers_mut()
        .insert("content-length", "99999999".parse().unwrap());
    assert_eq!(ask(&site, true, announced).await.status, 413);
    let answer = ask(&site, true, post("/impatient", Body::new(Silent))).await;
    assert_eq!(answer.status, 408);
    assert!(
        answer.body.contains(r#""reason":"Timeout""#),
        "{}",
        answer.body
    );
}

/// A body that always has more.
struct Endless;

/// A body that never has anything.
struct Silent;

type Frame = hyper::body::Frame<Bytes>;
type Polled = std::task::Poll<Option<Result<Frame, std::convert::Infallible>>>;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Polled {
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 4096])))))
    }
}

impl hyper::body::Body for Silent {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Polled {
        std::task::Poll::Pending
    }
}

fn short() -> Limits {
    Limits {
        handshake_time_max: Duration::from_millis(100),
        header_time_max: Duration::from_millis(100),
        idle_time_max: Duration::from_millis(100),
        ping_time_max: Duration::from_millis(100),
        drain_time_max: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// Waits until the other end closes, whether cleanly or not.
async fn closes(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut bytes = Vec::new();
    // How it closes does not matter, only that it does.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server closes");
}

#[tokio::test]
async fn slow_clients_are_cut() {
    let dir = DataDir::ephemeral().unwrap();
    let site = start(&dir, &[], short(), app()).await;
    closes(&mut TcpStream::connect(site.address).await.unwrap()).await;
    for head in ["", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = dial(site.address, &site.keys, true, "localhost", "http/1.1")
            .await
            .unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        closes(&mut stream).await;
    }
    // HTTP/2 that says nothing after the handshake, and HTTP/2 that says nothing any more.
    let mut silent = dial(site.address, &site.keys, true, "localhost", "h2")
        .await
        .unwrap();
    closes(&mut silent).await;
    let mut sender = h2(&site).await;
    assert_eq!(
        sender
            .send_request(with_uri("/who"))
            .await
            .unwrap()
            .status(),
        200
    );
    let idle = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, idle).await.expect("the server closes");
    assert_eq!(ask(&site, true, plain("/who")).await.status, 200);
}

#[tokio::test]
async fn a_quiet_watch_is_not_idle() {
    let dir = DataDir::ephemeral().unwrap();
    let (shutdown, (seen, _begun)) = (Shutdown::new(), mpsc::channel(9));
    let app = slow_app(&shutdown, &seen);
    let site = start_with(&dir, &[], short(), shutdown, app).await;
    let mut sender = h2(&site).await;
    let over_h2 = sender
        .send_request(with_uri("/watch"))
        .await
        .unwrap()
        .into_body();
    let mut over_h1 = admin(&dir).lines(&Path::new("/watch")).await.unwrap();
    assert_eq!(over_h1.next().await.unwrap().unwrap()["n"], 1);
    tokio::time::sleep(4 * short().idle_time_max).await;
    site.shutdown.begin();
    assert_eq!(over_h1.next().await.unwrap().unwrap()["n"], 2);
    let lines = timeout(PATIENCE, over_h2.collect()).await.unwrap().unwrap();
    assert_eq!(lines.to_bytes(), "{\"n\":1}\n{\"n\":2}\n");
}

#[tokio::test]
async fn plain_http_gets_no_answer() {
    let (_dir, site) = running().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("HTTP"));
}

#[tokio::test]
async fn connections_have_a_limit() {
    let dir = DataDir::ephemeral().unwrap();
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let site = start(&dir, &[], limits, app()).await;
    let first = h2(&site).await;
    let mut second = Box::pin(ask(&site, true, plain("/who")));
    let early = timeout(Duration::from_millis(100), &mut second).await;
    assert!(early.is_err(), "the second waits while the first is open");
    drop(first);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().status, 200);
}

/// An application with a request that ends when told, one that never ends, and a watch.
fn slow_app(shutdown: &Shutdown, seen: &mpsc::Sender<()>) -> Router {
    let (finishing, stuck, watching) = (seen.clone(), seen.clone(), seen.clone());
    let (until, end) = (shutdown.clone(), shutdown.clone());
    let finish = move || {
        let (seen, until) = (finishing.clone(), until.clone());
        async move {
            seen.send(()).await.unwrap();
            until.begun().await;
            "finished"
        }
    };
    let hang = move || {
        let seen = stuck.clone();
        async move {
            seen.send(()).await.unwrap();
            std::future::pending::<()>().await;
        }
    };
    let watch = move || {
        let (seen, end) = (watching.clone(), end.clone());
        async move {
            let (sender, receiver) = mpsc::channel::<Bytes>(1);
            tokio::spawn(async move {
                sender
                    .send(Bytes::from_static(b"{\"n\":1}\n"))
                    .await
                    .unwrap();
                seen.send(()).await.unwrap();
                end.begun().await;
                sender
                    .send(Bytes::from_static(b"{\"n\":2}\n"))
                    .await
                    .unwrap();
            });
            Body::new(Channel(receiver))
        }
    };
    Router::new()
        .route("/finish", on_get(finish))
        .route("/hang", on_get(hang))
        .route("/watch", on_get(watch))
}

struct Channel(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Channel {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Polled {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn a_stop_lets_requests_and_watches_end() {
    let dir = DataDir::ephemeral().unwrap();
    let (shutdown, (seen, mut begun)) = (Shutdown::new(), mpsc::channel(9));
    let app = slow_app(&shutdown, &seen);
    let site = start_with(&dir, &[], Limits::default(), shutdown, app).await;
    let mut sender = h2(&site).await;
    let watch = sender.send_request(with_uri("/watch")).await.unwrap();
    let over_h2 = sender.send_request(with_uri("/finish"));
    let over_h1 = ask(&site, true, plain("/finish"));
    let idle = dial(site.address, &site.keys, true, "localhost", "http/1.1")
        .await
        .unwrap();
    let stop = async {
        for _ in 0..3 {
            begun.recv().await.unwrap();
        }
        site.shutdown.begin();
    };
    let (h1, h2, ()) = tokio::join!(over_h1, over_h2, stop);
    assert_eq!((h1.body.as_str(), h1.status), ("finished", StatusCode::OK));
    assert_eq!(Answer::read(h2.unwrap()).await.body, "finished");
    let lines = timeout(PATIENCE, watch.into_body().collect())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lines.to_bytes(), "{\"n\":1}\n{\"n\":2}\n");
    let drained = timeout(PATIENCE, site.task).await.unwrap().unwrap();
    assert_eq!(drained, Drained { cut: 0 });
    drop(idle);
    assert!(
        TcpStream::connect(site.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    for hurried in [false, true] {
        let dir = DataDir::ephemeral().unwrap();
        let (shutdown, (seen, mut begun)) = (Shutdown::new(), mpsc::channel(9));
        let app = slow_app(&shutdown, &seen);
        let limits = if hurried {
            Limits {
                drain_time_max: Duration::from_secs(3600),
                ..Limits::default()
            }
        } else {
            short()
        };
        let site = start_with(&dir, &[], limits, shutdown, app).await;
        let mut sender = h2(&site).await;
        let stuck = tokio::spawn(sender.send_request(with_uri("/hang")));
        begun.recv().await.unwrap();
        site.shutdown.begin();
        if hurried {
            site.shutdown.hurry();
        }
        let drained = timeout(PATIENCE, site.task).await.unwrap().unwrap();
        assert_eq!(drained, Drained { cut: 1 }, "hurried: {hurried}");
        assert!(timeout(PATIENCE, stuck).await.unwrap().unwrap().is_err());
    }
}

#[tokio::test]
async fn a_restart_keeps_authority_token_and_certificate() {
    let dir = DataDir::ephemeral().unwrap();
    let first = start(&dir, &[], Limits::default(), app()).await;
    first.shutdown.begin();
    timeout(PATIENCE, first.task).await.unwrap().unwrap();
    let mut second = start(&dir, &[], Limits::default(), app()).await;
    // Ask the second server with what the first one handed out.
    second.keys = first.keys;
    assert_eq!(ask(&second, true, plain("/who")).await.status, 200);
    let request = with_token("/who", &second.keys.token);
    assert_eq!(ask(&second, false, request).await.status, 200);
}

#[tokio::test]
async fn another_name_makes_another_certificate() {
    let dir = DataDir::ephemeral().unwrap();
    let reached = async |site: &Site, name: &str| {
        dial(site.address, &site.keys, false, name, "h2")
            .await
            .is_ok()
    };
    let first = start(&dir, &[], Limits::default(), app()).await;
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(reached(&first, name).await, "{name}");
    }
    assert!(!reached(&first, "annals.test").await);
    let second = start(
        &dir,
        &["annals.test", "192.0.2.7"],
        Limits::default(),
        app(),
    )
    .await;
    for name in ["localhost", "annals.test", "192.0.2.7"] {
        assert!(reached(&second, name).await, "{name}");
    }
}

#[tokio::test]
async fn the_client_follows_a_watch_and_reads_refusals() {
    let dir = DataDir::ephemeral().unwrap();
    let (shutdown, (seen, mut begun)) = (Shutdown::new(), mpsc::channel(9));
    let app = slow_app(&shutdown, &seen);
    let site = start_with(&dir, &[], Limits::default(), shutdown, app).await;
    let client = admin(&dir);
    let mut lines = client.lines(&Path::new("/watch")).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 1);
    begun.recv().await.unwrap();
    let error = client.get(&Path::new("/nowhere")).await.unwrap_err();
    assert_eq!(error.code(), Some(404));
    assert!(error.to_string().contains("could not find"), "{error}");
    let error = client.lines(&Path::new("/nowhere")).await.unwrap_err();
    assert_eq!(error.code(), Some(404));
    site.shutdown.begin();
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 2);
    assert!(lines.next().await.unwrap().is_none());
    timeout(PATIENCE, site.task).await.unwrap().unwrap();
    let error = client.get(&Path::new("/who")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot reach the server at https://127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test]
async fn the_client_comes_again_when_asked_to() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let busy = move |uri: Uri| {
        let tries = Arc::clone(&counted);
        async move {
            let nth = tries.fetch_add(1, Ordering::Relaxed) + 1;
            match uri.path() {
                "/twice" if nth > 2 => "{}".into_response(),
                "/silent" => StatusCode::TOO_MANY_REQUESTS.into_response(),
                _ => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
            }
        }
    };
    let dir = DataDir::ephemeral().unwrap();
    let app = Router::new().route("/{*path}", any(busy));
    let _site = start(&dir, &[], Limits::default(), app).await;
    let client = admin(&dir);
    for (path, code, expected) in [
        ("/twice", None, 3),
        ("/silent", Some(429), 1),
        ("/always", Some(429), 5),
    ] {
        tries.store(0, Ordering::Relaxed);
        let answer = client
            .post(&Path::new(path), Some(&serde_json::json!({})))
            .await;
        assert_eq!(answer.err().and_then(|error| error.code()), code, "{path}");
        assert_eq!(tries.load(Ordering::Relaxed), expected, "{path}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (_dir, site) = running().await;
    let error = annals_server::net::bind(site.address)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&site.address.to_string()) && error.contains("--listen"),
        "{error}"
    );
    let foreign = "192.0.2.1:0".parse().unwrap();
    let error = annals_server::net::bind(foreign)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("not an address of this machine"), "{error}");
}
