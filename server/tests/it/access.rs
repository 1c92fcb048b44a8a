//! Would catch a caller who comes in with nothing, stays in after being sent away, sees what it may
//! not, or leaves no line in the audit log; and folders that run in a circle.

use axum::body::Body;
use axum::http::{Method, Request};
use base64::prelude::{BASE64_STANDARD, Engine};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::{Server, Shell, until};
use super::site::{Answer, PATIENCE, open};

const DASHBOARDS: &str = "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards";
const FOLDERS: &str = "/apis/folder.grafana.app/v1beta1/namespaces/default/folders";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

/// Asks with this proof, or with none.
async fn ask(
    server: &Server,
    proof: Option<&str>,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let request = request(proof, method, path, body);
    let (response, _) = open(server.address(), &server.keys(), false, request).await;
    Answer::read(response).await
}

fn request(proof: Option<&str>, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder()
        .method(&method)
        .uri(path)
        .header("host", "localhost");
    if let Some(proof) = proof {
        request = request.header("authorization", proof);
    }
    let kind = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let text = body.map_or_else(String::new, |body| body.to_string());
    let request = request.header("content-type", kind);
    request.body(Body::from(text)).unwrap()
}

/// The administrator's calls.
struct Admin<'a> {
    server: &'a Server,
    proof: String,
}

impl<'a> Admin<'a> {
    fn of(server: &'a Server) -> Self {
        let proof = bearer(&server.keys().token);
        Admin { server, proof }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        ask(self.server, Some(&self.proof), method, path, body).await
    }

    async fn folder(&self, name: &str, parent: &str) -> Answer {
        let folder = json!({
            "apiVersion": "folder.grafana.app/v1beta1", "kind": "Folder",
            "metadata": {"name": name, "annotations": {"grafana.app/folder": parent}},
            "spec": {"title": name},
        });
        self.ask(Method::POST, FOLDERS, Some(folder)).await
    }

    async fn dashboard(&self, name: &str, folder: &str) {
        let made = self
            .ask(Method::POST, DASHBOARDS, Some(dashboard(name, folder)))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    /// Puts an object into another folder.
    async fn put_into(&self, collection: &str, name: &str, folder: &str) -> Answer {
        let patch = json!({"metadata": {"annotations": {"grafana.app/folder": folder}}});
        let path = format!("{collection}/{name}");
        self.ask(Method::PATCH, &path, Some(patch)).await
    }
}

fn dashboard(name: &str, folder: &str) -> Value {
    json!({
        "apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard",
        "metadata": {"name": name, "annotations": {"grafana.app/folder": folder}},
        "spec": {"title": name},
    })
}

/// A server with the folders f, g in f, and h, and a dashboard in each of g and h.
async fn start() -> Server {
    let server = Server::start().await;
    let admin = Admin::of(&server);
    for (name, parent) in [("f", ""), ("g", "f"), ("h", "")] {
        assert_eq!(admin.folder(name, parent).await.status, 201);
    }
    for (name, folder) in [("own", "g"), ("secret", "h")] {
        admin.dashboard(name, folder).await;
    }
    server
}

async fn line(shell: &Shell, command: &str) -> String {
    shell.ok(command).await.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tokens_come_in_until_they_are_sent_away() {
    let server = start().await;
    let shell = server.shell();
    let add = "annals user add ann --role viewer -n default --folder f";
    let password = line(&shell, add).await;
    let token = line(&shell, "annals token create bot --user ann").await;
    assert!(shell.fails(add).await.contains("already exists"));
    let list = shell.ok("annals user list").await;
    assert!(list.contains("viewer in default below f"), "{list}");
    let rows = shell
        .ok("annals user list -o json; annals token list -o json")
        .await;
    assert!(
        !rows.contains("argon2id") && !rows.contains("sha256"),
        "{rows}"
    );

    let get =
        async |proof: Option<&str>, path: &str| ask(&server, proof, Method::GET, path, None).await;
    for proof in [basic("ann", &password), bearer(&token)] {
        let proof = Some(proof.as_str());
        let seen = get(proof, DASHBOARDS).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(
            seen.body.contains("\"own\"") && !seen.body.contains("secret"),
            "{seen:?}"
        );
        let hidden = get(proof, &format!("{DASHBOARDS}/secret")).await;
        let missing = get(proof, &format!("{DASHBOARDS}/nowhere")).await;
        assert_eq!(
            (hidden.status, missing.status),
            (404.try_into().unwrap(), hidden.status)
        );
        assert_eq!(
            hidden.body.replace("secret", "x"),
            missing.body.replace("nowhere", "x")
        );
        let other = get(proof, &DASHBOARDS.replace("default", "other")).await;
        assert_eq!(other.status, 403);
        assert!(
            other
                .body
                .contains(r#"User \"ann\" cannot list resource \"dashboards\""#)
        );
    }
    for proof in [
        None,
        Some(basic("ann", "wrong!!!")),
        Some(basic("eve", &password)),
    ] {
        let turned = get(proof.as_deref(), DASHBOARDS).await;
        assert_eq!(turned.status, 401);
        assert!(
            turned.headers.contains_key("www-authenticate"),
            "{turned:?}"
        );
    }
    for path in ["/livez", "/readyz", "/version"] {
        assert_eq!(get(None, path).await.status, 200, "{path}");
    }

    let config = shell.ok("annals user kubeconfig ann").await;
    shell.file("ann", &config);
    let seen = shell
        .ok("annals get dashboards -o name --kubeconfig ann")
        .await;
    assert_eq!(seen, "dashboards.dashboard.grafana.app/own\n");
    let found = shell.ok("annals search '*' -o name --kubeconfig ann").await;
    assert_eq!(found, shell.ok("annals search '*' -o name --as ann").await);
    assert!(
        found.contains("own") && !found.contains("secret"),
        "{found}"
    );
    let refused = shell.run("annals user list --kubeconfig ann").await;
    assert_eq!(refused.code, 6, "{refused:?}");

    // A place more, another role in it, and none but one; what it was is not written over.
    let (proof, hidden) = (bearer(&token), format!("{DASHBOARDS}/secret"));
    assert_eq!(get(Some(&proof), &hidden).await.status, 404);
    let grant = "annals user grant ann -n default";
    let stale = line(&shell, "annals user list -o json").await;
    shell.ok(&format!("{grant} --folder h --role viewer")).await;
    assert_eq!(get(Some(&proof), &hidden).await.status, 200);
    shell.ok(&format!("{grant} --folder h --role editor")).await;
    let list = shell.ok("annals user list").await;
    assert!(
        list.contains("viewer in default below f; editor in default below h"),
        "{list}"
    );
    let stale: Value = serde_json::from_str(&stale).unwrap();
    let admin = Admin::of(&server);
    let path = "/apis/access.annals.dev/v1/users/ann";
    let put = admin.ask(Method::PUT, path, Some(stale["items"][0].clone()));
    assert_eq!(put.await.status, 409);
    let wrong = shell.fails("annals user grant ann").await;
    assert!(wrong.contains("expected --role"), "{wrong}");
    let only = format!("{grant} --folder f --role viewer --only");
    shell.ok(&only).await;
    assert_eq!(get(Some(&proof), &hidden).await.status, 404);

    // A new password ends the old one, and what was opened with it.
    let proof = basic("ann", &password);
    let mut watch = Stream::open(&server, &proof, DASHBOARDS).await;
    assert_eq!(watch.next().await.unwrap()["type"], "ADDED");
    shell
        .ok("echo another-one | annals user passwd ann --password-stdin")
        .await;
    assert_eq!(watch.next().await.unwrap()["object"]["code"], 401);
    assert!(watch.next().await.is_none());
    assert_eq!(get(Some(&proof), DASHBOARDS).await.status, 401);
    assert_eq!(
        get(Some(&basic("ann", "another-one")), DASHBOARDS)
            .await
            .status,
        200
    );

    let mut watch = Stream::open(&server, &bearer(&token), DASHBOARDS).await;
    assert_eq!(watch.next().await.unwrap()["type"], "ADDED");
    shell.ok("annals token revoke bot").await;
    assert_eq!(watch.next().await.unwrap()["object"]["code"], 401);
    assert_eq!(get(Some(&bearer(&token)), DASHBOARDS).await.status, 401);
    shell.ok("annals user remove ann").await;
    let gone = shell.run("annals get dashboards --kubeconfig ann").await;
    assert_eq!(gone.code, 6, "{gone:?}");
    // Another user of the same name gets nothing of the old one's.
    shell
        .ok("annals user add ann --role viewer -n default")
        .await;
    let gone = shell.run("annals get dashboards --kubeconfig ann").await;
    assert_eq!(gone.code, 6, "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_comes_into_sight_and_what_leaves_it() {
    let server = start().await;
    let (shell, admin) = (server.shell(), Admin::of(&server));
    let create = "annals token create bot --role viewer -n default --folder f";
    let token = line(&shell, create).await;
    let mut watch = Stream::open(&server, &bearer(&token), DASHBOARDS).await;
    let mut next = async || {
        let event = watch.next().await.unwrap();
        let name = event
            .pointer("/object/metadata/name")
            .and_then(Value::as_str);
        let kind = event["type"].as_str().unwrap().to_owned();
        (kind, name.unwrap_or_default().to_owned(), event.to_string())
    };
    let is = |found: (String, String, String), kind: &str, name: &str| {
        assert_eq!(
            (found.0.as_str(), found.1.as_str()),
            (kind, name),
            "{}",
            found.2
        );
        assert!(!found.2.contains("hidden"), "{}", found.2);
    };
    is(next().await, "ADDED", "own");
    // What happens out of sight makes no event.
    admin.dashboard("hidden-1", "h").await;
    let moved = admin.put_into(DASHBOARDS, "secret", "f").await;
    assert_eq!(moved.status, 200, "{moved:?}");
    is(next().await, "ADDED", "secret");
    admin.put_into(DASHBOARDS, "own", "h").await;
    is(next().await, "DELETED", "own");
    let patch = json!({"spec": {"title": "hidden words"}});
    admin
        .ask(Method::PATCH, &format!("{DASHBOARDS}/own"), Some(patch))
        .await;
    admin.put_into(DASHBOARDS, "secret", "g").await;
    is(next().await, "MODIFIED", "secret");
    // A new folder in sight changes what is seen: the client lists anew.
    assert_eq!(admin.folder("i", "g").await.status, 201);
    let last = next().await;
    assert_eq!(last.0, "ERROR");
    assert!(last.2.contains("410"), "{}", last.2);
    assert!(watch.next().await.is_none());
    // From before the change nothing can be told; from the newest list on, everything.
    let list = ask(
        &server,
        Some(&bearer(&token)),
        Method::GET,
        DASHBOARDS,
        None,
    )
    .await;
    let list: Value = serde_json::from_str(&list.body).unwrap();
    let version: u64 = list
        .pointer("/metadata/resourceVersion")
        .unwrap()
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    for (back, code) in [(1, Some(410)), (0, None)] {
        let since = format!("{DASHBOARDS}?resourceVersion={}", version - back);
        let mut watch = Stream::open(&server, &bearer(&token), &since).await;
        if code.is_none() {
            admin.dashboard("seen", "i").await;
        }
        let event = watch.next().await.unwrap();
        assert_eq!(
            event.pointer("/object/code").and_then(Value::as_u64),
            code,
            "{event}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_form_a_tree_and_moving_needs_both_ends() {
    let server = start().await;
    let (shell, admin) = (server.shell(), Admin::of(&server));
    let code = |answer: Answer| (answer.status.as_u16(), answer.body);
    let (own, _) = code(admin.put_into(FOLDERS, "f", "f").await);
    let (circle, text) = code(admin.put_into(FOLDERS, "f", "g").await);
    assert_eq!((own, circle), (422, 422));
    assert!(
        text.contains("metadata.annotations[grafana.app/folder]"),
        "{text}"
    );
    for depth in 3..=8 {
        let (name, parent) = (format!("d{depth}"), format!("d{}", depth - 1));
        let parent = if depth == 3 { "g" } else { &parent };
        assert_eq!(admin.folder(&name, parent).await.status, 201, "{depth}");
    }
    assert_eq!(admin.folder("d9", "d8").await.status, 422);
    assert_eq!(admin.put_into(FOLDERS, "f", "h").await.status, 422);
    for name in ["f", "g", "h"] {
        let path = format!("{FOLDERS}/{name}");
        let (refused, text) = code(admin.ask(Method::DELETE, &path, None).await);
        assert_eq!(refused, 409, "{name}");
        assert!(text.contains("not empty"), "{text}");
    }

    let create = "annals token create bot --role editor -n default --folder f";
    let bot = bearer(&line(&shell, create).await);
    let bot = async |method: Method, path: &str, body: Option<Value>| {
        code(ask(&server, Some(&bot), method, path, body).await).0
    };
    let into =
        |folder: &str| Some(json!({"metadata": {"annotations": {"grafana.app/folder": folder}}}));
    let own = format!("{DASHBOARDS}/own");
    assert_eq!(bot(Method::PATCH, &own, into("h")).await, 403);
    assert_eq!(bot(Method::PATCH, &own, into("")).await, 403);
    assert_eq!(bot(Method::PATCH, &own, into("f")).await, 200);
    assert_eq!(
        bot(Method::POST, DASHBOARDS, Some(dashboard("new", "h"))).await,
        403
    );
    assert_eq!(
        bot(Method::POST, DASHBOARDS, Some(dashboard("new", ""))).await,
        403
    );
    assert_eq!(
        bot(Method::POST, DASHBOARDS, Some(dashboard("new", "g"))).await,
        201
    );
    // A hidden name is taken.
    assert_eq!(
        bot(Method::POST, DASHBOARDS, Some(dashboard("secret", "g"))).await,
        409
    );
    // The folder of the grant is shown and changed, and stays where it is.
    let title = Some(json!({"spec": {"title": "new"}}));
    assert_eq!(
        bot(Method::PATCH, &format!("{FOLDERS}/f"), title).await,
        200
    );
    assert_eq!(
        bot(Method::PATCH, &format!("{FOLDERS}/f"), into("g")).await,
        403
    );
    assert_eq!(
        bot(Method::DELETE, &format!("{FOLDERS}/f"), None).await,
        403
    );
    assert_eq!(
        bot(Method::PATCH, &format!("{FOLDERS}/g"), into("h")).await,
        403
    );
    assert_eq!(
        bot(Method::PATCH, &format!("{FOLDERS}/h"), into("f")).await,
        404
    );
    assert_eq!(
        bot(Method::DELETE, &format!("{FOLDERS}/d8"), None).await,
        200
    );
    // A name by which hidden objects know their folder is not taken over, nor one of the trash.
    admin.dashboard("lost", "nowhere").await;
    let folder = |name: &str| {
        let mut folder = dashboard(name, "f");
        folder["apiVersion"] = json!("folder.grafana.app/v1beta1");
        folder["kind"] = json!("Folder");
        Some(folder)
    };
    assert_eq!(bot(Method::POST, FOLDERS, folder("nowhere")).await, 409);
    for path in [format!("{DASHBOARDS}/secret"), format!("{FOLDERS}/h")] {
        assert_eq!(admin.ask(Method::DELETE, &path, None).await.status, 200);
    }
    assert_eq!(bot(Method::POST, FOLDERS, folder("h")).await, 409);
    // A name that lived elsewhere has a past that is not shown.
    let again = Some(dashboard("secret", "g"));
    assert_eq!(bot(Method::POST, DASHBOARDS, again).await, 201);
    // Nor by the way of a folder of the old name, which nothing of now or of the trash names any more.
    assert_eq!(bot(Method::POST, FOLDERS, folder("h")).await, 201);
    let history = "/apis/history.annals.dev/v1/namespaces/default/dashboard.grafana.app/dashboards";
    let seen = async |proof: &str| {
        let path = format!("{history}/secret");
        let (status, text) = code(ask(&server, Some(proof), Method::GET, &path, None).await);
        assert_eq!(status, 200, "{text}");
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().len()
    };
    let viewer = line(
        &shell,
        "annals token create eye --role viewer -n default --folder f",
    )
    .await;
    assert_eq!(seen(&bearer(&viewer)).await, 1);
    assert_eq!(seen(&admin.proof).await, 3);
    // All at once they go from the inside out.
    for path in [DASHBOARDS, FOLDERS] {
        let gone = admin.ask(Method::DELETE, path, None).await;
        assert_eq!(gone.status, 200, "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_and_changes_leave_a_line_and_secrets_leave_none() {
    let server = start().await;
    let shell = server.shell();
    shell
        .ok("echo canary-password | annals user add ann --role viewer -n default --password-stdin")
        .await;
    let token = line(&shell, "annals token create bot --user ann").await;
    let (ann, bot) = (basic("ann", "canary-password"), bearer(&token));
    for (proof, method, path) in [
        (&ann, Method::GET, DASHBOARDS),
        (&bot, Method::DELETE, DASHBOARDS),
        (&basic("ann", "canary-guess"), Method::GET, "/x%0a%22"),
    ] {
        ask(&server, Some(proof), method, path, None).await;
    }
    let log = server.data().join("audit.log");
    let lines: Vec<Value> = until("the lines are there", async || {
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        let lines = lines.unwrap();
        lines
            .iter()
            .any(|line| line["code"] == 401)
            .then_some(lines)
    })
    .await;
    let has = |user: Option<&str>, code: u16, method: &str| {
        let user = user.map_or(Value::Null, Value::from);
        let is = |line: &&Value| {
            line["user"] == user && line["code"] == code && line["method"] == method
        };
        lines.iter().filter(is).count()
    };
    assert_eq!(has(Some("ann"), 403, "DELETE"), 1, "{lines:#?}");
    assert_eq!(has(Some("ann"), 200, "GET"), 0);
    assert_eq!(has(None, 401, "GET"), 1);
    assert!(has(Some("admin"), 201, "POST") >= 7, "{lines:#?}");
    let made = lines
        .iter()
        .find(|line| line["path"] == DASHBOARDS && line["code"] == 201);
    assert!(
        made.unwrap()["version"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );

    // No file that the server writes holds a secret, but for the kubeconfig of the administrator.
    drop(shell);
    let mut folders = vec![server.data()];
    let secrets = [
        "canary-password",
        "canary-guess",
        &token,
        &server.keys().token,
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let is_own = path == server.kubeconfig();
            let found = secrets.iter().find(|secret| text.contains(**secret));
            assert!(found.is_none() || is_own, "{}: {found:?}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_asks_who_it_is_and_what_it_may() {
    let server = start().await;
    let Some(shell) = server.kubectl() else {
        return;
    };
    shell
        .ok("annals user add ann --role editor -n default --folder f")
        .await;
    shell.file("ann", &shell.ok("annals user kubeconfig ann").await);
    let whoami = shell.ok("kubectl auth whoami --kubeconfig ann").await;
    assert!(
        whoami.contains("ann") && whoami.contains("system:authenticated"),
        "{whoami}"
    );
    for (question, expected) in [
        ("list dashboards", "yes"),
        ("create dashboards", "yes"),
        ("get dashboards/own", "yes"),
        ("get dashboards/secret", "no"),
        ("get dashboards/nowhere", "no"),
        ("update folders/f", "yes"),
        ("delete folders/f", "no"),
        ("list dashboards -n other", "no"),
        ("get /api", "yes"),
        ("get /metrics", "no"),
    ] {
        let run = shell
            .run(&format!("kubectl auth can-i {question} --kubeconfig ann"))
            .await;
        assert_eq!(run.out.trim(), expected, "{question}: {run:?}");
        let run = shell
            .run(&format!("kubectl auth can-i {question} --as ann"))
            .await;
        assert_eq!(run.out.trim(), expected, "{question}: {run:?}");
    }
    assert_eq!(shell.ok("kubectl auth can-i '*' '*'").await.trim(), "yes");
    let seen = shell
        .ok("kubectl get dashboards -o name --kubeconfig ann")
        .await;
    assert_eq!(seen, "dashboard.dashboard.grafana.app/own\n");
    let refused = shell
        .fails("kubectl get dashboards -n other --kubeconfig ann")
        .await;
    assert!(
        refused.contains("Forbidden") && refused.contains("cannot list"),
        "{refused}"
    );
}

/// An open watch.
struct Stream {
    body: Incoming,
    bytes: Vec<u8>,
}

impl Stream {
    async fn open(server: &Server, proof: &str, collection: &str) -> Self {
        let joint = if collection.contains('?') { '&' } else { '?' };
        let path = format!("{collection}{joint}watch=true");
        let request = request(Some(proof), Method::GET, &path, None);
        let (response, _) = open(server.address(), &server.keys(), false, request).await;
        assert_eq!(response.status(), 200);
        let (body, bytes) = (response.into_body(), Vec::new());
        Stream { body, bytes }
    }

    /// The next event; nothing when the server has ended the watch.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(at + 1);
                let line = std::mem::replace(&mut self.bytes, rest);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .expect("an event");
            match frame {
                Some(Ok(frame)) => self.bytes.extend(frame.into_data().unwrap()),
                Some(Err(_)) | None => return None,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_carry_no_users_out_and_bring_none_in() {
    let mut server = start().await;
    let shell = server.shell();
    shell.ok("annals user add ann --role admin").await;
    shell.ok("annals token create bot --user ann").await;
    server.stop().await;
    let data = server.data().display().to_string();
    for what in [
        "",
        "--history",
        "users.access.annals.dev",
        "tokens.access.annals.dev",
    ] {
        let out = shell
            .ok(&format!("annals export {what} --data-dir '{data}'"))
            .await;
        assert!(!out.contains("access.annals.dev"), "{out}");
        assert!(
            !out.contains("argon2id") && !out.contains("sha256"),
            "{out}"
        );
    }
    // A file that somebody has made to let himself in.
    let forge =
        "sed 's/\"dashboard.grafana.app\"/\"access.annals.dev\"/;s/\"dashboards\"/\"users\"/'";
    let export = format!("annals export dashboards --history --data-dir '{data}'");
    shell
        .ok(&format!("{export} | {forge} > forged.ndjson"))
        .await;
    let refused = shell
        .fails("annals import file forged.ndjson --data-dir fresh")
        .await;
    assert!(refused.contains("is a user or a token"), "{refused}");
}
