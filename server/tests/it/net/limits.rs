//! Catches a head, an address or a body that is larger than its limit and gets through.

use annals_server::net::{BODY_BYTES_MAX, URI_BYTES_MAX};
use axum::body::{Body, Bytes};
use axum::http::Request;
use tokio::time::timeout;

use super::{Frame, Polled, plain, running, with_uri};
use crate::site::{PATIENCE, ask, get, h2};

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
