//! Ports that nobody else takes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux takes the ports of outgoing connections: while a broker is down, a client that
/// connects to a port of that range may be given the same port, and talk to itself on it.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// Another start for each process, so that two seldom look at the same ports.
const STRIDE: u32 = 97;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that is ours for as long as this lives, also while nothing listens on it: other tests of this machine see a
/// locked file.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// It on the loopback address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Takes a free loopback port.
///
/// Errors: what the system answered, or that all are taken.
pub fn free_port() -> io::Result<Port> {
    let folder = std::env::temp_dir().join("antiphon-ports");
    DirBuilder::new().recursive(true).mode(0o777).create(&folder)?;
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        let turn = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = (std::process::id().wrapping_mul(STRIDE) + turn) % count;
        let number = PORTS.start + u16::try_from(offset).unwrap_or_default();
        let lock = OpenOptions::new().create(true).append(true).open(folder.join(number.to_string()))?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
            return Ok(Port { number, _lock: lock });
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no port of {PORTS:?} is free")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_a_port_twice() {
        let ports: Vec<Port> = (0..50).map(|_| free_port().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
    }
}
