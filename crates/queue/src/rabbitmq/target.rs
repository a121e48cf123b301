//! Where the broker is, read from the URL.

use std::fmt;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use super::link::CONNECT_MAX;
use crate::{QueueError, QueueUrl};

/// Seconds between heartbeats unless the URL says otherwise: RabbitMQ advises 5 to 20.
const HEARTBEAT_S: u16 = 10;
const USER: &str = "guest";
const VHOST: &str = "/";

/// The hosts of one broker and what they want to know.
pub(super) struct Target {
    /// As it may be shown: without the password.
    shown: String,
    pub(super) uris: Vec<AMQPUri>,
    ca: Option<String>,
}

impl Target {
    pub(super) fn new(url: &QueueUrl) -> Result<Self, QueueError> {
        let scheme = if url.scheme() == "amqps" { AMQPScheme::AMQPS } else { AMQPScheme::AMQP };
        let heartbeat = match url.parsed::<u16>("heartbeat")? {
            Some(0) => {
                return Err(QueueError::Refused(format!(
                    "heartbeat of {url} is 0: without it a dead link is never noticed; 5 to 20 seconds are usual"
                )));
            }
            heartbeat => heartbeat.unwrap_or(HEARTBEAT_S),
        };
        let ca = url.parameter("ca").map(|file| {
            std::fs::read_to_string(file)
                .map_err(|error| QueueError::Refused(format!("ca of {url}: {file}: {error}")))
        });
        let vhost = if url.path().is_empty() { VHOST } else { url.path() };
        let authority = |host: &str| {
            let (host, port) = host_and_port(host)
                .ok_or_else(|| QueueError::Refused(format!("{url}: {host:?} is no HOST or HOST:PORT")))?;
            Ok::<_, QueueError>(AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: url.user().unwrap_or(USER).to_owned(),
                    password: url
                        .password()
                        .unwrap_or(if url.user().is_some() { "" } else { USER })
                        .to_owned(),
                },
                host,
                port: port.unwrap_or_else(|| scheme.default_port()),
            })
        };
        let uri = |host: &str| {
            Ok(AMQPUri {
                scheme: scheme.clone(),
                authority: authority(host)?,
                vhost: vhost.to_owned(),
                query: AMQPQueryString {
                    heartbeat: Some(heartbeat),
                    connection_timeout: u64::try_from(CONNECT_MAX.as_millis()).ok(),
                    ..AMQPQueryString::default()
                },
            })
        };
        let uris = url.hosts().split(',').map(uri).collect::<Result<Vec<_>, QueueError>>()?;
        Ok(Self { shown: url.to_string(), uris, ca: ca.transpose()? })
    }

    pub(super) fn tls(&self) -> OwnedTLSConfig {
        OwnedTLSConfig { identity: None, cert_chain: self.ca.clone() }
    }
}

/// `host`, `host:port` or `[v6]:port`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = v6.unwrap_or(host);
    (!host.is_empty() && (v6.is_some() || !host.contains(':'))).then(|| (host.to_owned(), port))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, QueueError> {
        Target::new(&url.parse().unwrap())
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let target = target("amqp://localhost").unwrap();
        let [uri] = &target.uris[..] else { panic!("one host") };
        assert_eq!(
            (uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()),
            ("localhost", 5672, "/")
        );
        assert_eq!((uri.authority.userinfo.username.as_str(), uri.query.heartbeat), ("guest", Some(10)));
    }

    #[test]
    fn every_part_is_read() {
        let target = target("amqps://ada:pa%20ss@a,[::1]:5000/shop?heartbeat=5").unwrap();
        assert_eq!(target.uris.len(), 2);
        assert_eq!((target.uris[0].authority.port, target.uris[1].authority.port), (5671, 5000));
        assert_eq!((target.uris[1].authority.host.as_str(), target.uris[1].vhost.as_str()), ("::1", "shop"));
        assert_eq!(target.uris[0].authority.userinfo.password, "pa ss");
        assert!(!format!("{target:?}").contains("pa"), "the password is not shown");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, named) in [
            ("amqp://h?heartbeat=0", "heartbeat"),
            ("amqp://h?heartbeat=often", "heartbeat"),
            ("amqp://h?ca=/nowhere.pem", "nowhere"),
            ("amqp://h:many", "many"),
            ("amqp:", "HOST"),
            ("amqp://::1", "::1"),
        ] {
            let refusal = target(url).unwrap_err().to_string();
            assert!(refusal.contains(named), "{url}: {refusal}");
        }
    }
}
