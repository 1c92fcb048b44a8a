//! Catches what a program with Python's `kubernetes` client would stumble over: the typed road of
//! custom objects, the dynamic one, and a watch.
//!
//! Without the package in the first python3 of the PATH this test says so and passes;
//! `ANNALS_REQUIRE_PYTHON=1` makes it fail instead.

use super::server::Server;

const TOUR: &str = r#"
from kubernetes import client, config, dynamic, watch

config.load_kube_config()
group, version, plural = "playlist.grafana.app", "v0alpha1", "playlists"
place = dict(group=group, version=version, namespace="default", plural=plural)
api = client.CustomObjectsApi()

def playlist(name, title):
    return {"apiVersion": f"{group}/{version}", "kind": "Playlist", "metadata": {"name": name},
            "spec": {"title": title, "interval": "5m"}}

def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except client.ApiException as error:
        assert error.status == code, error
    else:
        raise AssertionError(f"expected {code}")

made = api.create_namespaced_custom_object(body=playlist("one", "One"), **place)
assert made["metadata"]["uid"], made
refused(409, api.create_namespaced_custom_object, body=playlist("one", "One"), **place)
refused(422, api.create_namespaced_custom_object, body=playlist("Bad Name", "x"), **place)
listed = api.list_namespaced_custom_object(**place)
assert [item["metadata"]["name"] for item in listed["items"]] == ["one"], listed
start = listed["metadata"]["resourceVersion"]

patched = api.patch_namespaced_custom_object(name="one", body={"spec": {"interval": "6m"}}, **place)
assert patched["spec"] == {"title": "One", "interval": "6m"}, patched
got = api.get_namespaced_custom_object(name="one", **place)
assert got == patched, got
got["spec"]["title"] = "Uno"
api.replace_namespaced_custom_object(name="one", body=got, **place)
refused(409, api.replace_namespaced_custom_object, name="one", body=got, **place)
gone = api.delete_namespaced_custom_object(name="one", **place)
assert gone["status"] == "Success", gone
refused(404, api.get_namespaced_custom_object, name="one", **place)

seen = []
for event in watch.Watch().stream(api.list_namespaced_custom_object, resource_version=start,
                                  timeout_seconds=30, **place):
    seen.append((event["type"], event["object"]["spec"]["title"]))
    if event["type"] == "DELETED":
        break
assert seen == [("MODIFIED", "One"), ("MODIFIED", "Uno"), ("DELETED", "Uno")], seen

trash = api.list_namespaced_custom_object(label_selector="grafana.app/get-trash=true", **place)
assert [item["metadata"]["generation"] for item in trash["items"]] == [-999], trash

# The dynamic client asks what there is before it acts.
found = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version=f"{group}/{version}",
                                                                kind="Playlist")
found.create(body=playlist("two", "Two"), namespace="default")
found.patch(name="two", namespace="default", body={"spec": {"title": "Due"}},
            content_type="application/merge-patch+json")
assert [item.spec.title for item in found.get(namespace="default").items] == ["Due"]
found.delete(name="two", namespace="default")

core = client.CoreV1Api()
core.create_namespace({"metadata": {"name": "team"}})
assert "team" in [item.metadata.name for item in core.list_namespace().items]
print("the tour is done")
"#;

#[tokio::test]
async fn the_python_client_makes_the_tour() {
    let server = Server::start().await;
    let shell = server.shell();
    if shell.run("python3 -c 'import kubernetes'").await.code != 0 {
        let is_required = std::env::var("ANNALS_REQUIRE_PYTHON").as_deref() == Ok("1");
        let why = "no python3 with the package kubernetes on the PATH";
        assert!(!is_required, "ANNALS_REQUIRE_PYTHON=1, and {why}");
        println!("skipped: {why}");
        return;
    }
    shell.file("tour.py", TOUR);
    assert_eq!(shell.ok("python3 tour.py").await, "the tour is done\n");
}
