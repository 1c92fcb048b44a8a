//! `annals user` and `annals token`: who may come in, and where.
//!
//! A secret is printed once, alone on the standard output, so that it can be piped; what is said
//! about it goes to the standard error.

use std::io::Read;

use base64::Engine as _;
use clap::{Args as Flags, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::object::items;
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::{Client, Path};
use crate::limits;

const USERS: &str = "/apis/access.annals.dev/v1/users";
const TOKENS: &str = "/apis/access.annals.dev/v1/tokens";

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Let somebody in, with a password
    Add(Add),
    /// Give a user a place more, or another role in a place
    Grant(Grant),
    /// Print who is let in, and where
    List(List),
    /// Let a user in no more: its tokens and open watches end, too
    Remove(One),
    /// Give a user another password
    Passwd(Passwd),
    /// Print a kubeconfig for a user, with a new token
    Kubeconfig(One),
}

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token, for a user or with a role of its own, and print it once
    Create(Create),
    /// Print the tokens, without their secrets
    List(List),
    /// End a token: open watches end, too
    Revoke(One),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Reads and writes; without a namespace, an administrator of the server
    Admin,
    /// Reads and writes
    Editor,
    /// Reads
    Viewer,
}

/// What somebody is, and where.
#[derive(Debug, Flags)]
struct Place {
    /// What the caller may do there
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Where [default: everywhere]
    #[arg(short, long, requires = "role")]
    namespace: Option<String>,
    /// Only in this folder and all below it (repeat for more)
    #[arg(long = "folder", value_name = "UID", requires = "namespace")]
    folders: Vec<String>,
}

#[derive(Debug, Flags)]
pub(super) struct Add {
    /// The name
    name: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Flags)]
pub(super) struct Grant {
    /// The name
    name: String,
    #[command(flatten)]
    place: Place,
    /// Take away all places that the user had; without a role, nothing is left
    #[arg(long)]
    only: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Flags)]
pub(super) struct Passwd {
    /// The name
    name: String,
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    server: Server,
}

/// Which password: one is made and printed unless it is given.
#[derive(Debug, Flags)]
struct Secret {
    /// Read the password from the standard input, up to the end of the first line
    #[arg(long, conflicts_with = "no_password")]
    password_stdin: bool,
    /// No password: the user comes in by tokens or certificates alone
    #[arg(long)]
    no_password: bool,
}

#[derive(Debug, Flags)]
pub(super) struct Create {
    /// The name
    name: String,
    /// Speak for this user instead of having a role
    #[arg(long, conflicts_with = "role", required_unless_present = "role")]
    user: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Flags)]
pub(super) struct List {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Flags)]
pub(super) struct One {
    /// The name
    name: String,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn user(command: User) -> Result<Exit, Failure> {
    match command {
        User::Add(args) => {
            let mut body = json!({
                "metadata": {"name": args.name},
                "spec": {"places": args.place.value()},
            });
            args.secret.put(&mut body)?;
            let client = args.server.client()?;
            let made = client.post(&Path::new(USERS), Some(&body)).await?;
            secret(&made, "password", &format!("user {} added", args.name))
        }
        User::Grant(args) => grant(args).await,
        User::List(args) => list(args, USERS).await,
        User::Remove(args) => remove(args, USERS, "user").await,
        User::Passwd(args) => {
            let mut body = json!({});
            args.secret.put(&mut body)?;
            let client = args.server.client()?;
            let path = Path::new(USERS).part(&args.name).part("password");
            let made = client.put(&path, &body).await?;
            secret(
                &made,
                "password",
                &format!("password of {} changed", args.name),
            )
        }
        User::Kubeconfig(args) => kubeconfig(&args).await,
    }
}

pub(super) async fn token(command: Token) -> Result<Exit, Failure> {
    match command {
        Token::Create(args) => {
            let spec = match &args.user {
                Some(user) => json!({"user": user}),
                None => json!({"places": args.place.value()}),
            };
            let client = args.server.client()?;
            let made = create_token(&client, &args.name, &spec).await?;
            secret(&made, "token", &format!("token {} created", args.name))
        }
        Token::List(args) => list(args, TOKENS).await,
        Token::Revoke(args) => remove(args, TOKENS, "token").await,
    }
}

impl Place {
    fn value(&self) -> Value {
        let Some(role) = self.role else {
            return json!([]);
        };
        let role = match role {
            Role::Admin => "admin",
            Role::Editor => "editor",
            Role::Viewer => "viewer",
        };
        let mut place = json!({"role": role});
        if let Some(namespace) = &self.namespace {
            place["namespace"] = json!(namespace);
        }
        if !self.folders.is_empty() {
            place["folders"] = json!(self.folders);
        }
        json!([place])
    }
}

impl Secret {
    /// Puts the password into a body, if it is given.
    fn put(&self, body: &mut Value) -> Result<(), Failure> {
        if self.no_password {
            body["password"] = json!("");
        } else if self.password_stdin {
            body["password"] = json!(line_of(std::io::stdin().lock())?);
        }
        Ok(())
    }
}

/// The first line, without its end.
fn line_of(input: impl Read) -> Result<String, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("the standard input: {why}"));
    let mut text = String::new();
    // A little more than fits, so that what is too long is refused and not cut.
    let mut input = input.take(limits::PASSWORD_BYTES as u64 + 3);
    input
        .read_to_string(&mut text)
        .map_err(|why| wrong(why.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(wrong("expected a password in the first line".to_owned()));
    }
    Ok(line.to_owned())
}

/// Prints a secret that was made, and what was done.
fn secret(answer: &Value, field: &str, done: &str) -> Result<Exit, Failure> {
    match answer.get(field).and_then(Value::as_str) {
        Some(secret) => {
            eprintln!("{}; its {field} is shown this once:", print::clean(done));
            print::out(&format!("{secret}\n"))?;
        }
        None => eprintln!("{}", print::clean(done)),
    }
    Ok(Exit::Done)
}

async fn create_token(client: &Client, name: &str, spec: &Value) -> Result<Value, Failure> {
    let body = json!({"metadata": {"name": name}, "spec": spec});
    Ok(client.post(&Path::new(TOKENS), Some(&body)).await?)
}

async fn remove(args: One, rows: &str, what: &str) -> Result<Exit, Failure> {
    let client = args.server.client()?;
    client.delete(&Path::new(rows).part(&args.name)).await?;
    eprintln!("{what} {} removed", print::clean(&args.name));
    Ok(Exit::Done)
}

async fn list(args: List, rows: &str) -> Result<Exit, Failure> {
    let answer = args.server.client()?.get(&Path::new(rows)).await?;
    let text = |row: &Value, pointer: &str| print::cell(row.pointer(pointer));
    let rows = items(&answer, "items")?;
    let out = match args.output {
        Output::Json | Output::Yaml => print::whole(&answer, args.output)?,
        Output::Name => {
            let line = |row: &Value| format!("{}\n", print::clean(&text(row, "/metadata/name")));
            rows.iter().map(line).collect()
        }
        Output::Table => {
            let cells = |row: &Value| {
                let may = match row.pointer("/spec/user").and_then(Value::as_str) {
                    Some(user) => format!("as {user}"),
                    None => places(row.pointer("/spec/places")),
                };
                let created = text(row, "/metadata/creationTimestamp");
                vec![text(row, "/metadata/name"), may, created]
            };
            print::table(
                &["name", "may", "created"],
                rows.iter().map(cells).collect(),
            )
        }
    };
    print::out(&out)?;
    Ok(Exit::Done)
}

/// Places in words: `viewer in a below f,g; admin everywhere`.
fn places(places: Option<&Value>) -> String {
    let list = places.and_then(Value::as_array);
    let words = list.into_iter().flatten().map(|place| {
        let mut text = print::cell(place.get("role"));
        match place.get("namespace").and_then(Value::as_str) {
            Some(namespace) => text.push_str(&format!(" in {namespace}")),
            None => text.push_str(" everywhere"),
        }
        let folders = place.get("folders").and_then(Value::as_array);
        let folders: Vec<&str> = folders
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !folders.is_empty() {
            text.push_str(&format!(" below {}", folders.join(",")));
        }
        text
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.join("; ")
}

/// Writes the places of a user anew. If somebody else does so meanwhile, the server refuses.
async fn grant(args: Grant) -> Result<Exit, Failure> {
    let given = args.place.value();
    if given == json!([]) && !args.only {
        let why = "expected --role, or --only to take all places away";
        return Err(Failure::new(Exit::Usage, why));
    }
    let client = args.server.client()?;
    let path = Path::new(USERS).part(&args.name);
    let user = client.get(&path).await?;
    let had = user.pointer("/spec/places").filter(|_| !args.only);
    let body = json!({
        "metadata": {
            "name": args.name,
            "resourceVersion": user.pointer("/metadata/resourceVersion"),
        },
        "spec": {"places": with_place(had, &given)},
    });
    let changed = client.put(&path, &body).await?;
    let may = places(changed.pointer("/spec/places"));
    eprintln!("{} is now {}", print::clean(&args.name), print::clean(&may));
    Ok(Exit::Done)
}

/// These places and those that are given, each of which stands for one in the same namespace and
/// folders.
fn with_place(had: Option<&Value>, given: &Value) -> Vec<Value> {
    let list = |places: &Value| places.as_array().cloned().unwrap_or_default();
    let at = |place: &Value| {
        let mut folders = list(&place["folders"]);
        folders.sort_by_key(Value::to_string);
        (place["namespace"].clone(), folders)
    };
    let given = list(given);
    let is_new = |place: &Value| given.iter().all(|other| at(other) != at(place));
    let mut places = had.map(list).unwrap_or_default();
    places.retain(is_new);
    places.extend(given);
    places
}

/// A kubeconfig like the caller's own, with a new token of the user.
async fn kubeconfig(args: &One) -> Result<Exit, Failure> {
    let path = args.server.kubeconfig()?;
    let client = args.server.client()?;
    let mut random = [0; 4];
    getrandom::fill(&mut random)
        .map_err(|why| Failure::new(Exit::Failed, format!("no random numbers: {why}")))?;
    let suffix = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(random);
    let suffix: String = suffix.to_lowercase().replace(['-', '_'], "x");
    let name = format!("{}-{suffix}", args.name);
    let made = create_token(&client, &name, &json!({"user": args.name})).await?;
    let token = made.get("token").and_then(Value::as_str);
    let token = token.ok_or_else(|| Failure::new(Exit::Failed, "the server sent no token"))?;
    let config = crate::client::kubeconfig::Kubeconfig::read(&path)?;
    let text = config
        .with_token(&path, &args.name, token)
        .and_then(|config| config.render())
        .map_err(|why| Failure::new(Exit::Failed, format!("{}: {why}", path.display())))?;
    eprintln!("token {name} created; the kubeconfig holds it and is shown this once:");
    print::out(&text)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    //! Catches a password that is cut or keeps its line end, a place told wrongly, and a grant that
    //! loses a place or leaves an old role beside the new one.
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (text, expected) in [
            ("secret\n", Some("secret")),
            ("secret", Some("secret")),
            ("  a b \r\nc", Some("  a b ")),
            ("", None),
            ("\nx", None),
        ] {
            assert_eq!(
                line_of(text.as_bytes()).ok().as_deref(),
                expected,
                "{text:?}"
            );
        }
        let long = "x".repeat(limits::PASSWORD_BYTES + 1);
        assert_eq!(line_of(long.as_bytes()).unwrap(), long);
    }

    #[test]
    fn a_place_is_added_or_takes_the_place_of_its_like() {
        let place = |role: &str, folders: &[&str]| match folders {
            [] => json!({"role": role, "namespace": "a"}),
            _ => json!({"role": role, "namespace": "a", "folders": folders}),
        };
        let everywhere = json!({"role": "viewer"});
        let (whole, part) = (place("viewer", &[]), place("viewer", &["f", "g"]));
        let had = json!([everywhere, whole, part]);
        for (given, expected) in [
            (json!([]), json!([everywhere, whole, part])),
            (json!([whole]), json!([everywhere, part, whole])),
            (
                json!([place("editor", &[])]),
                json!([everywhere, part, place("editor", &[])]),
            ),
            (
                json!([place("editor", &["g", "f"])]),
                json!([everywhere, whole, place("editor", &["g", "f"])]),
            ),
            (
                json!([place("editor", &["f"])]),
                json!([everywhere, whole, part, place("editor", &["f"])]),
            ),
            (
                json!([{"role": "admin"}]),
                json!([whole, part, {"role": "admin"}]),
            ),
        ] {
            assert_eq!(json!(with_place(Some(&had), &given)), expected, "{given}");
            assert_eq!(json!(with_place(None, &given)), given);
        }
    }

    #[test]
    fn places_are_told_in_words() {
        let value = json!([
            {"role": "viewer", "namespace": "a", "folders": ["f", "g"]},
            {"role": "admin"},
        ]);
        assert_eq!(
            places(Some(&value)),
            "viewer in a below f,g; admin everywhere"
        );
        assert_eq!(places(None), "nothing");
    }
}
