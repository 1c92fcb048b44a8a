//! Catches an answer that a Rust controller cannot read, or an informer that misses a change.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};

use axum::body::Body;
use axum::http::{Request, StatusCode, Version};
use futures_core::Stream;
use http_body_util::BodyExt;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::Server;
use super::site::{PATIENCE, h2_to};

/// The playlists of the namespace `default`.
pub(crate) fn playlists(client: kube::Client) -> Api<DynamicObject> {
    Api::default_namespaced_with(client, &resource())
}

fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("playlist.grafana.app", "v0alpha1", "Playlist");
    ApiResource::from_gvk_with_plural(&kind, "playlists")
}

/// A playlist that is not yet anywhere.
pub(crate) fn playlist(name: &str, title: &str) -> DynamicObject {
    let object = DynamicObject::new(name, &resource());
    object.data(json!({"spec": {"title": title, "interval": "5m"}}))
}

/// The version of an object.
pub(crate) fn version(object: &DynamicObject) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}

/// The title of a playlist.
pub(crate) fn title(object: &DynamicObject) -> &str {
    object.data["spec"]["title"].as_str().unwrap()
}

/// The next thing of a stream.
async fn next<T, E: std::fmt::Debug>(
    mut stream: Pin<&mut impl Stream<Item = Result<T, E>>>,
) -> Option<T> {
    let next = poll_fn(|context| stream.as_mut().poll_next(context));
    let next = timeout(PATIENCE, next).await.expect("something comes");
    next.map(|next| next.unwrap())
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_object_from_birth_to_end() {
    let server = Server::start().await;
    let api = playlists(server.kube().await);
    let (post, patching) = (PostParams::default(), PatchParams::default());
    let made = api.create(&post, &playlist("a", "A")).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(made.metadata.generation, Some(1));
    let twin = api.create(&post, &playlist("a", "A")).await.unwrap_err();
    assert_eq!(code(&twin), 409);

    let got = api.get("a").await.unwrap();
    assert_eq!(got, made);
    assert_eq!(api.get_opt("b").await.unwrap(), None);
    let meta = api.get_metadata("a").await.unwrap();
    assert_eq!(meta.metadata, made.metadata);
    let metas = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(metas.items[0].metadata, made.metadata);

    let patch = Patch::Merge(json!({"spec": {"title": "B"}}));
    let patched = api.patch("a", &patching, &patch).await.unwrap();
    assert_eq!(
        (title(&patched), patched.metadata.generation),
        ("B", Some(2))
    );
    assert!(version(&patched) > version(&made));
    let apply = PatchParams::apply("test");
    let applied = Patch::Apply(playlist("a", "C"));
    let refused = api.patch("a", &apply, &applied).await.unwrap_err();
    assert_eq!(code(&refused), 415);

    // The object that was read before the patch no longer goes in.
    let stale = api.replace("a", &post, &got).await.unwrap_err();
    assert_eq!(code(&stale), 409);
    let mut newer = patched;
    newer.data["spec"]["title"] = json!("D");
    let replaced = api.replace("a", &post, &newer).await.unwrap();
    assert_eq!(title(&replaced), "D");

    let uid = DeleteParams::default().preconditions(kube::api::Preconditions {
        uid: Some("another".to_owned()),
        resource_version: None,
    });
    assert_eq!(code(&api.delete("a", &uid).await.unwrap_err()), 409);
    let gone = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(gone.right().unwrap().code, 0);
    assert_eq!(code(&api.get("a").await.unwrap_err()), 404);
}

#[tokio::test]
async fn pages_show_one_version() {
    let server = Server::start().await;
    let api = playlists(server.kube().await);
    for i in 0..10 {
        let object = playlist(&format!("n{i}"), "before");
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let page = ListParams::default().limit(4);
    let first = api.list(&page).await.unwrap();
    // What happens between the pages is not in them.
    api.delete("n7", &DeleteParams::default()).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"title": "after"}}));
    api.patch("n9", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let mut seen: Vec<DynamicObject> = first.items;
    let mut token = first.metadata.continue_;
    while let Some(after) = token.filter(|token| !token.is_empty()) {
        let next = api
            .list(&page.clone().continue_token(&after))
            .await
            .unwrap();
        assert_eq!(
            next.metadata.resource_version,
            first.metadata.resource_version
        );
        assert!(next.items.len() <= 4);
        seen.extend(next.items);
        token = next.metadata.continue_;
    }
    let names: Vec<String> = seen.iter().map(ResourceExt::name_any).collect();
    let expected: Vec<String> = (0..10).map(|i| format!("n{i}")).collect();
    assert_eq!(names, expected);
    assert!(seen.iter().all(|object| title(object) == "before"));
    let bad = page.continue_token("nonsense");
    assert_eq!(code(&api.list(&bad).await.unwrap_err()), 400);

    let gone = api
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    assert_eq!(gone.left().unwrap().items.len(), 9);
    assert!(
        api.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn a_watch_goes_on_from_a_version() {
    let server = Server::start().await;
    let api = playlists(server.kube().await);
    let post = PostParams::default();
    let first = api.create(&post, &playlist("a", "A")).await.unwrap();
    let second = api.create(&post, &playlist("b", "B")).await.unwrap();
    let from = first.resource_version().unwrap();
    let events = api.watch(&WatchParams::default(), &from).await.unwrap();
    let mut events = pin!(events);
    match next(events.as_mut()).await {
        Some(WatchEvent::Added(object)) => assert_eq!(object, second),
        other => panic!("{other:?}"),
    }
    api.delete("a", &DeleteParams::default()).await.unwrap();
    match next(events.as_mut()).await {
        Some(WatchEvent::Deleted(object)) => {
            assert_eq!(object.name_any(), "a");
            assert_eq!(version(&object), version(&second) + 1);
        }
        other => panic!("{other:?}"),
    }
}

/// An informer that starts with two objects and sees what happens to a third.
async fn inform(config: Config) {
    let server = Server::start().await;
    let api = playlists(server.kube().await);
    let post = PostParams::default();
    for name in ["a", "b"] {
        api.create(&post, &playlist(name, "T")).await.unwrap();
    }
    let mut events = pin!(watcher(api.clone(), config));
    assert!(matches!(next(events.as_mut()).await, Some(Event::Init)));
    let mut known = BTreeSet::new();
    loop {
        match next(events.as_mut()).await {
            Some(Event::InitApply(object)) => assert!(known.insert(object.name_any())),
            Some(Event::InitDone) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(known, ["a", "b"].map(str::to_owned).into());

    let made = api.create(&post, &playlist("c", "1")).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"title": "2"}}));
    let changed = api
        .patch("c", &PatchParams::default(), &patch)
        .await
        .unwrap();
    api.delete("c", &DeleteParams::default()).await.unwrap();
    for expected in [made, changed] {
        match next(events.as_mut()).await {
            Some(Event::Apply(object)) => assert_eq!(object, expected),
            other => panic!("{other:?}"),
        }
    }
    match next(events.as_mut()).await {
        Some(Event::Delete(object)) => assert_eq!(title(&object), "2"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_informer_that_lists_first() {
    inform(Config::default().page_size(1)).await;
}

#[tokio::test]
async fn an_informer_that_streams_its_list() {
    inform(Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn namespaces_are_typed() {
    use k8s_openapi::api::core::v1::Namespace;
    let server = Server::start().await;
    let api: Api<Namespace> = Api::all(server.kube().await);
    let mut team = Namespace::default();
    team.meta_mut().name = Some("team".to_owned());
    let made = api.create(&PostParams::default(), &team).await.unwrap();
    let phase = |namespace: &Namespace| namespace.status.clone().unwrap().phase.unwrap();
    assert_eq!(phase(&made), "Active");
    let list = api.list(&ListParams::default()).await.unwrap();
    let names: Vec<String> = list.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["default", "team"]);
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let server = Server::start().await;
    let mut sender = h2_to(server.address(), &server.keys()).await;
    let base = format!("https://localhost:{}", server.address().port());
    let list = "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists";
    let get = |query: &str| {
        let request = Request::get(format!("{base}{list}{query}"));
        request.body(Body::empty()).unwrap()
    };
    // An open watch does not hold up the others.
    let watch = sender.send_request(get("?watch=true&resourceVersion=1"));
    let watch = timeout(PATIENCE, watch).await.unwrap().unwrap();
    assert_eq!(
        (watch.status(), watch.version()),
        (StatusCode::OK, Version::HTTP_2)
    );
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(sender.send_request(get("")));
    }
    for answer in answers {
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let list: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(list["kind"], "PlaylistList");
    }
    let api = playlists(server.kube().await);
    let post = PostParams::default();
    api.create(&post, &playlist("a", "A")).await.unwrap();
    let mut body = watch.into_body();
    let frame = timeout(PATIENCE, body.frame()).await.unwrap().unwrap();
    let line = frame.unwrap().into_data().unwrap();
    let event: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(event["type"], "ADDED");
}
