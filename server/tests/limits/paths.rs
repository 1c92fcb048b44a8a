//! Would catch a name or a path that brings the server down, gets an answer of 5xx, or reaches
//! another object than the one it names.

use annals_server::setup::DataDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::hostile::{assert_fault, dashboard};
use crate::server::{DASHBOARDS, Server, request};
use crate::site::{PATIENCE, dial};

/// The number of names that are tried at least.
const NAMES_MIN: usize = 1_000;

/// Names that no object has, as they may stand in a path.
fn names() -> Vec<String> {
    let encode =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("%{byte:02X}")).collect() };
    let fixed = [
        "%2E",
        "%2E%2E",
        "..%2F..%2Fetc",
        "%2Fetc%2Fpasswd",
        "a%2Fb",
        "%2F",
        "%5C",
        "a%5Cb",
        "%00",
        "a%00",
        "a%00b",
        "%0A",
        "%0D%0A",
        "%20",
        "+",
        "%2B",
        "%25",
        "%2525",
        "%252F",
        "%",
        "%2",
        "%zz",
        "%u0041",
        "%C0%AF",
        "%ED%A0%80",
        "%FF",
        "*",
        "~",
        "$",
        "!",
        "'",
        "(",
        "@",
        ":",
        "%3F",
        "%23",
        ";",
        ";a=b",
        "%3Cscript%3E",
        "%24%7Bjndi%7D",
        "-",
        "_",
        "a.",
        "..a",
    ];
    let mut names: Vec<String> = fixed.map(str::to_owned).to_vec();
    // Every byte: alone, behind a letter, and between two.
    for byte in 0..=u8::MAX {
        let byte = encode(&[byte]);
        names.extend([byte.clone(), format!("a{byte}"), format!("a{byte}b")]);
    }
    // Characters of every length, those that look like others, and those that turn the text.
    let ranges = [
        0xa0..0xc0,
        0x300..0x310,
        0x2000..0x2080,
        0xff01..0xff20,
        0x1f600..0x1f620,
    ];
    for character in ranges.into_iter().flatten().filter_map(char::from_u32) {
        names.push(encode(format!("a{character}").as_bytes()));
    }
    for length in [254, 1_000, 4_000, 8_000] {
        names.push("n".repeat(length));
        names.push("%2E".repeat(length / 3));
        names.push("%C3%A9".repeat(length / 6));
    }
    names
}

#[test]
fn hostile_names_in_paths_find_nothing() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    let version = server.store.snapshot().unwrap().version();
    let things = "/apis/dashboard.grafana.app/v1beta1/namespaces";
    let mut tried = 0_usize;
    for name in names() {
        let paths = [
            format!("{DASHBOARDS}/{name}"),
            format!("{things}/{name}/dashboards/x"),
            format!("/api/v1/namespaces/{name}"),
            format!("/apis/{name}/v1/things"),
        ];
        // All verbs by turns on the object; for the rest a look is enough.
        for (at, path) in paths.iter().enumerate() {
            let (method, media, body) = match (at, tried % 4) {
                (0, 0) => ("PUT", "application/json", dashboard("{}")),
                (0, 1) => ("PATCH", "application/merge-patch+json", b"{}".to_vec()),
                (0, 2) => ("DELETE", "application/json", Vec::new()),
                _ => ("GET", "application/json", Vec::new()),
            };
            let request = request(method, path).header("content-type", media);
            let answer = server.send(request.body(body.into()).unwrap());
            assert_fault(&answer, &format!("{method} {path}"));
        }
        tried += 1;
    }
    assert!(tried >= NAMES_MIN, "{tried} names");
    assert_eq!(server.store.snapshot().unwrap().version(), version);
    server.assert_healthy();
}

/// Request lines that no client library would send.
#[test]
fn hostile_request_lines_are_refused() {
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, false);
    let lines: [&[u8]; 16] = [
        b"GET /../../etc/passwd HTTP/1.1",
        b"GET /apis/../api/v1/namespaces HTTP/1.1",
        b"GET /apis/./v1 HTTP/1.1",
        b"GET //api//v1//namespaces HTTP/1.1",
        b"GET /api/v1/namespaces/a\x00b HTTP/1.1",
        b"GET /api/v1/namespaces/\xff HTTP/1.1",
        b"GET /api/v1/namespaces/\xc3\xa9 HTTP/1.1",
        b"GET /api/v1/namespaces/a b HTTP/1.1",
        b"GET http:///// HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET /nowhere HTTP/9.9",
        b"GET",
        b"\x00\x01\x02",
        b"BREW /api/v1/namespaces HTTP/1.1",
        b"CONNECT localhost:22 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
    ];
    for line in lines {
        let site = server.site();
        let answer = server.runtime.block_on(async {
            let stream = dial(site.address, &site.keys, true, "localhost", "http/1.1").await;
            let mut stream = stream.unwrap();
            stream.write_all(line).await.unwrap();
            let head = b"\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            // The server may have gone before this is out.
            let _ = stream.write_all(head).await;
            let mut answer = Vec::new();
            let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
                .await
                .expect("an answer or the end");
            answer
        });
        let told = String::from_utf8_lossy(line);
        let answer = String::from_utf8_lossy(&answer);
        // What is not HTTP at all may get no answer.
        let refused = answer.starts_with("HTTP/1.1 4") || answer.is_empty();
        assert!(refused, "{told}: {answer}");
    }
    server.assert_healthy();
}
