//! Rights belong to a thread, so each test drops those of a thread of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

#[test]
fn what_is_denied_fails_and_everything_else_goes_on() {
    std::thread::spawn(|| {
        std::process::Command::new("/bin/true").status().unwrap();
        deny_system_calls().unwrap();
        let denied = [
            std::process::Command::new("/bin/true").status().unwrap_err(),
            rustix::process::chroot("/").unwrap_err().into(),
            rustix::thread::set_thread_uid(rustix::process::getuid()).unwrap_err().into(),
        ];
        for error in denied {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        }
        let serves = std::thread::spawn(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            listener.accept().unwrap().0.write_all(b"ok").unwrap();
            let mut got = String::new();
            client.read_to_string(&mut got).unwrap();
            got
        });
        assert_eq!(serves.join().unwrap(), "ok");
        assert!(
            std::fs::read_to_string("/proc/thread-self/status").unwrap().contains("\nSeccomp:\t2")
        );
    })
    .join()
    .unwrap();
}

#[test]
fn no_capability_is_left() {
    std::thread::spawn(|| {
        drop_capabilities().unwrap();
        let left = rustix::thread::capabilities(None).unwrap();
        assert!(left.effective.is_empty() && left.permitted.is_empty());
        assert!(left.inheritable.is_empty());
    })
    .join()
    .unwrap();
}
