//! Catches an administrator who is sent away while the body of a request is on its way, and who
//! makes another one of himself with it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use futures_core::Stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::oneshot;

use super::*;

/// A body that comes when it is told to.
struct Late(Option<oneshot::Receiver<Bytes>>);

impl Stream for Late {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(coming) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let bytes = std::task::ready!(Pin::new(coming).poll(context)).unwrap_or_default();
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_away_while_his_request_comes_changes_nothing() {
    let world = World::new().await;
    let (tell, coming) = oneshot::channel();
    let users = "/apis/access.annals.dev/v1/users";
    let body = Body::new(StreamBody::new(Late(Some(coming))));
    let request = Request::builder().method(Method::POST).uri(users);
    let mut request = request
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let root = world.identity(Root).unwrap();
    request.extensions_mut().insert(root);
    let service = TowerToHyperService::new(routes(world.api.clone()));
    let answer = tokio::spawn(async move { service.call(request).await.unwrap().status() });
    // Time enough to be let in before.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let gone = format!("{users}/{}", Root.name());
    let (code, text) = world.ask(Admin, Method::DELETE, &gone, None).await;
    assert_eq!(code, 200, "{text}");
    let back = json!({"metadata": {"name": "back"}, "spec": {"places": [{"role": "admin"}]}});
    tell.send(Bytes::from(back.to_string())).unwrap();
    assert_eq!(answer.await.unwrap().as_u16(), 401);
    let (code, _) = world
        .ask(Admin, Method::GET, &format!("{users}/back"), None)
        .await;
    assert_eq!(code, 404);
}
