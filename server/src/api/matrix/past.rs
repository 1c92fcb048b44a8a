//! Catches a list of revisions or of the trash that shows a caller what it may not see, or tells a
//! hidden object from a missing one.

use super::*;

const HISTORY: &str =
    "labelSelector=grafana.app%2Fget-history%3Dtrue&fieldSelector=metadata.name%3D";
const TRASH: &str = "labelSelector=grafana.app%2Fget-trash%3Dtrue";

/// What a list shows, or the code that refuses it.
async fn names(world: &World, caller: Caller, query: &str) -> Result<Vec<String>, u16> {
    let path = format!("{DASHBOARDS}?{query}");
    let (code, text) = world.ask(caller, Method::GET, &path, None).await;
    if code != 200 {
        return Err(code);
    }
    let list: Value = serde_json::from_str(&text).unwrap();
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    Ok(list["items"].as_array().unwrap().iter().map(name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_on_a_list_is_of_what_is_seen() {
    let world = World::new().await;
    for (name, folder) in [("mine", "g"), ("theirs", "h")] {
        world.make(DASHBOARDS, &dashboard(name, folder)).await;
        let path = format!("{DASHBOARDS}/{name}");
        let (code, _) = world.ask(Admin, Method::DELETE, &path, None).await;
        assert_eq!(code, 200);
    }
    for caller in CALLERS {
        let refused = match caller {
            Revoked | Anonymous => Some(401),
            OtherTenant | Nobody => Some(403),
            _ => None,
        };
        let expected = |seen: &[&str]| {
            let seen = seen.iter().map(|name| (*name).to_owned()).collect();
            refused.map_or(Ok(seen), Err)
        };
        let is_wide = caller.sees(Object::Other);
        let trash: &[&str] = if is_wide {
            &["theirs", "mine"]
        } else {
            &["mine"]
        };
        assert_eq!(
            names(&world, caller, TRASH).await,
            expected(trash),
            "{caller:?}"
        );
        for object in OBJECTS {
            let name = format!("{object:?}").to_lowercase();
            let seen = [name.as_str()];
            let seen: &[&str] = if caller.sees(object) { &seen } else { &[] };
            let query = format!("{HISTORY}{name}");
            assert_eq!(
                names(&world, caller, &query).await,
                expected(seen),
                "{caller:?} {name}"
            );
        }
        // Every revision of a name, over its ends.
        for (name, is_seen) in [("mine", true), ("theirs", is_wide), ("never", false)] {
            let query =
                format!("{HISTORY}{name}&resourceVersion=1&resourceVersionMatch=NotOlderThan");
            let seen = if is_seen { vec![name; 2] } else { Vec::new() };
            assert_eq!(
                names(&world, caller, &query).await,
                expected(&seen),
                "{caller:?} {name}"
            );
        }
    }
}

/// A token may be made by hand for any key: what is hidden gives no place to go on from.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_hidden_is_as_one_that_is_missing() {
    let world = World::new().await;
    let path = format!("{DASHBOARDS}/other");
    world.ask(Admin, Method::DELETE, &path, None).await;
    let snapshot = world.api.store().snapshot().unwrap();
    let group = "dashboard.grafana.app";
    let binding = crate::api::token::Binding {
        epoch: world.api.store().epoch().bytes(),
        group: own(group),
        resource: own("dashboards"),
        namespace: Some(own("a")),
        filter: annals::Filter {
            labels: "grafana.app/get-trash=true".parse().unwrap(),
            ..annals::Filter::default()
        },
    };
    let at = crate::api::token::At::Version(snapshot.version());
    for (caller, name, expected) in [
        (FolderViewer, "other", Err(410)),
        (FolderViewer, "missing", Err(410)),
        (Viewer, "missing", Err(410)),
        (Viewer, "other", Ok(Vec::new())),
    ] {
        let key = annals::Key::new(group, "dashboards", "a", name).unwrap();
        let query = format!("{TRASH}&limit=1&continue={}", binding.token(at, &key));
        assert_eq!(
            names(&world, caller, &query).await,
            expected,
            "{caller:?} {name}"
        );
    }
}
