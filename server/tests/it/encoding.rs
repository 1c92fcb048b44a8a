//! Catches an answer that is compressed for a client that did not ask, or a watch that waits to be
//! compressed, or a compressed body that is read as if it were plain; and discovery in another form
//! than the answer says.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::Server;
use super::site::{PATIENCE, h2_to};

const PLAYLISTS: &str = "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

async fn send(
    sender: &SendRequest<Body>,
    (method, path): (&str, &str),
    headers: &[(header::HeaderName, &str)],
    body: Vec<u8>,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::from(body)).unwrap();
    let response = sender.clone().send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, bytes.to_vec())
}

fn playlist(name: &str, title: &str) -> Vec<u8> {
    let object = json!({
        "apiVersion": "playlist.grafana.app/v0alpha1", "kind": "Playlist",
        "metadata": {"name": name}, "spec": {"title": title, "interval": "5m"},
    });
    object.to_string().into_bytes()
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let server = Server::start().await;
    let sender = h2_to(server.address(), &server.keys()).await;
    let gzip = &[(header::ACCEPT_ENCODING, "gzip")];
    let title = "long ".repeat(8_000);
    for at in 0..5 {
        let body = playlist(&format!("p{at}"), &title);
        let (code, ..) = send(&sender, ("POST", PLAYLISTS), &[], body).await;
        assert_eq!(code, 201);
    }
    let list = ("GET", PLAYLISTS);
    let (_, headers, plain) = send(&sender, list, &[], Vec::new()).await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    assert_eq!(headers[header::VARY], "Accept-Encoding");
    let (_, headers, packed) = send(&sender, list, gzip, Vec::new()).await;
    assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
    assert!(packed.len() * 10 < plain.len(), "{}", packed.len());
    let mut unpacked = Vec::new();
    let mut reader = GzDecoder::new(packed.as_slice());
    reader.read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);

    let one = format!("{PLAYLISTS}/p0");
    let (_, headers, small) = send(&sender, ("GET", &one), gzip, Vec::new()).await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    assert!(serde_json::from_slice::<Value>(&small).is_ok());

    // A watch is lines as they happen, however many have been.
    let request = Request::get(format!("https://localhost{PLAYLISTS}?watch=true"));
    let request = request.header(header::ACCEPT_ENCODING, "gzip");
    let watch = sender
        .clone()
        .send_request(request.body(Body::empty()).unwrap());
    let (head, mut lines) = watch.await.unwrap().into_parts();
    assert!(!head.headers.contains_key(header::CONTENT_ENCODING));
    let frame = timeout(PATIENCE, lines.frame()).await.expect("an event");
    let bytes = frame.unwrap().unwrap().into_data().unwrap();
    assert!(bytes.starts_with(b"{\"type\":\"ADDED\""));
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    let server = Server::start().await;
    let sender = h2_to(server.address(), &server.keys()).await;
    for coding in ["gzip", "br"] {
        let headers = &[(header::CONTENT_ENCODING, coding)];
        let body = playlist("x", "X");
        let (code, _, text) = send(&sender, ("POST", PLAYLISTS), headers, body).await;
        let status: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(code, 415, "{status}");
        assert_eq!(status["reason"], "UnsupportedMediaType");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with("Content-Encoding: expected none"),
            "{message}"
        );
    }
    let headers = &[(header::CONTENT_ENCODING, "identity")];
    let (code, ..) = send(&sender, ("POST", PLAYLISTS), headers, playlist("x", "X")).await;
    assert_eq!(code, 201);
}

#[tokio::test]
async fn discovery_says_which_form_it_has() {
    let server = Server::start().await;
    let sender = h2_to(server.address(), &server.keys()).await;
    let beta = AGGREGATED.replace("v=v2;", "v=v2beta1;");
    let either = format!("{AGGREGATED},{beta},application/json");
    let old = format!("{beta},application/json");
    for path in ["/api", "/apis"] {
        let plain = if path == "/api" {
            "APIVersions"
        } else {
            "APIGroupList"
        };
        for (accept, kind, media_type) in [
            (either.as_str(), "APIGroupDiscoveryList", AGGREGATED),
            (old.as_str(), "APIGroupDiscoveryList", beta.as_str()),
            ("application/json", plain, "application/json"),
            ("*/*", plain, "application/json"),
        ] {
            let asked = &[(header::ACCEPT, accept)];
            let (code, headers, body) = send(&sender, ("GET", path), asked, Vec::new()).await;
            let document: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (code.as_u16(), &document["kind"]),
                (200, &json!(kind)),
                "{accept}"
            );
            assert_eq!(headers[header::CONTENT_TYPE], media_type);
            assert_eq!(headers[header::VARY], "Accept");
            let Some(tag) = headers.get(header::ETAG) else {
                assert_eq!(media_type, "application/json");
                continue;
            };
            let asked = &[
                (header::ACCEPT, accept),
                (header::IF_NONE_MATCH, tag.to_str().unwrap()),
            ];
            let (code, _, body) = send(&sender, ("GET", path), asked, Vec::new()).await;
            assert_eq!((code.as_u16(), body.len()), (304, 0));
        }
        let asked = &[(
            header::ACCEPT,
            "application/json;as=Table;g=meta.k8s.io;v=v1",
        )];
        let (code, ..) = send(&sender, ("GET", path), asked, Vec::new()).await;
        assert_eq!(code, 406);
    }
}
