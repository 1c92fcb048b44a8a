//! Catches a way past the gate, a health answer that tells names, and a panic that ends more than
//! its own request.

use annals_server::net::PUBLIC_PATHS;
use axum::body::Body;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{plain, running, with_token, with_uri};
use crate::site::{Answer, PATIENCE, ask, dial, get, h2};

const UNAUTHORIZED: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;

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
