//! The same sessions against OpenSSL, over loopback: every version and cipher that both support.

use crate::common::*;
use hg_tls::{ClientSession, Received, ServerSession, TlsError};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

/// A directory that is deleted with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hg-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Finds OpenSSL: a missing peer is a skip on a developer's machine and an error in CI.
fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    assert!(here || std::env::var("CI").as_deref() != Ok("true"), "openssl is needed in CI");
    if !here {
        eprintln!("skipped: openssl is not installed (make system-deps)");
    }
    here
}

fn openssl(arguments: &[&str]) -> Child {
    Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads once, passes the bytes to the session and writes its output. `None` at the end.
fn turn(
    socket: &mut TcpStream,
    pending: &mut Vec<u8>,
    plain: &mut Vec<u8>,
    mut receive: impl FnMut(&mut [u8], &mut Vec<u8>, &mut Vec<u8>) -> Result<Received, TlsError>,
) -> Option<Received> {
    let mut buffer = [0; 4096];
    let n = socket.read(&mut buffer).unwrap();
    pending.extend_from_slice(&buffer[..n]);
    let mut out = Vec::new();
    let received = receive(pending, plain, &mut out).unwrap();
    pending.drain(..received.consumed);
    socket.write_all(&out).unwrap();
    (n > 0 && !received.peer_closed).then_some(received)
}

/// Echoes lines to one client until it closes; reports whether the client came with a ticket.
fn serve(listener: &TcpListener, mut session: ServerSession) -> ServerSession {
    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut pending, mut plain, mut out) = (Vec::new(), Vec::new(), Vec::new());
    while turn(&mut socket, &mut pending, &mut plain, |i, p, o| session.receive(i, p, o)).is_some()
    {
        out.clear();
        session
            .send(&plain, &mut out)
            .or_else(|e| if plain.is_empty() { Ok(()) } else { Err(e) })
            .unwrap();
        plain.clear();
        socket.write_all(&out).unwrap();
    }
    out.clear();
    session.close(&mut out);
    let _ = socket.write_all(&out);
    session
}

#[test]
fn openssls_client_speaks_every_suite_with_us() {
    if !openssl_is_here() {
        return;
    }
    let (ca, folder) = (Authority::new("ca"), Folder::new("client"));
    let roots = folder.file("ca.pem", &ca.pem);
    let context = simple(&ca).context();
    for (version, cipher) in [
        ("-tls1_3", ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]),
        ("-tls1_3", ["-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
        ("-tls1_3", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
        ("-tls1_2", ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
        ("-tls1_2", ["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
        ("-tls1_2", ["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut arguments = vec!["s_client", "-connect", &address, "-servername", "a.example"];
        arguments.extend([
            "-CAfile",
            &roots,
            "-verify_return_error",
            "-verify_hostname",
            "a.example",
        ]);
        arguments.extend(["-alpn", "http/1.1", "-quiet", version]);
        arguments.extend(cipher);
        let mut client = openssl(&arguments);
        let text = "x".repeat(40_000) + "\n";
        let mut stdin = client.stdin.take().unwrap();
        let mut stdout = client.stdout.take().unwrap();
        let server = std::thread::spawn({
            let session = session(&context, "a.example");
            move || serve(&listener, session)
        });
        stdin.write_all(text.as_bytes()).unwrap();
        let mut echoed = vec![0; text.len()];
        stdout.read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, text.as_bytes(), "{cipher:?}");
        client.kill().unwrap();
        client.wait().unwrap();
        let session = server.join().unwrap();
        assert_eq!(session.alpn(), Some(&b"http/1.1"[..]));
    }
}

/// Sends one line to a server and reads until it has come back.
fn ask(mut session: ClientSession, address: &str, text: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut pending, mut plain, mut out) = (Vec::new(), Vec::new(), Vec::new());
    session.start(&mut out).unwrap();
    socket.write_all(&out).unwrap();
    while !session.is_established() {
        turn(&mut socket, &mut pending, &mut plain, |i, p, o| session.receive(i, p, o)).unwrap();
    }
    out.clear();
    session.send(text, &mut out).unwrap();
    socket.write_all(&out).unwrap();
    while plain.len() < text.len() {
        turn(&mut socket, &mut pending, &mut plain, |i, p, o| session.receive(i, p, o)).unwrap();
    }
    // `s_server -rev` answers each line reversed.
    let mut line: Vec<u8> = text[..text.len() - 1].to_vec();
    line.reverse();
    assert_eq!(plain[..line.len()], line);
    out.clear();
    session.close(&mut out);
    socket.write_all(&out).unwrap();
}

/// Where `s_server` listens, which it says as soon as it does.
///
/// A port that was free before it started is not its own: as long as another test's child has not
/// executed its program, it has the socket that found the port, and connections end with that.
fn address_of(server: &mut Child) -> String {
    let said = BufReader::new(server.stdout.as_mut().unwrap()).lines();
    said.map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()))
        .unwrap()
}

#[test]
fn we_speak_with_openssls_server() {
    use hg_plan::Kind;
    if !openssl_is_here() {
        return;
    }
    let (ca, folder) = (Authority::new("ca"), Folder::new("server"));
    let key = ecdsa();
    let cert = folder.file("cert.pem", &ca.issue(&["a.example"], &key));
    let key = folder.file("key.pem", &key.serialize_pem());
    let mut world = World::default();
    let bundle = world.blob(ca.pem.as_bytes());
    let upstream = format!(r#"{{"endpoints":[],"tls":{{"ca":"{bundle}"}}}}"#);
    world.put(Kind::Upstream, "u", &upstream);
    let context = world.context();
    for version in ["-tls1_3", "-tls1_2"] {
        let accept = ["s_server", "-accept", "127.0.0.1:0", "-rev", version];
        let mut server = openssl(&[&accept[..], &["-cert", &cert, "-key", &key]].concat());
        let address = address_of(&mut server);
        let tls = context.upstream("u").unwrap();
        for _ in 0..2 {
            ask(tls.session("a.example").unwrap(), &address, b"a line for the other side\n");
        }
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
