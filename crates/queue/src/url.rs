//! The URL that chooses a broker.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{QueueError, Topic};

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 4_096;
/// The parameter that every broker knows: what stands before every name there.
const PREFIX: &str = "prefix";

/// Where a broker is and how it is to be used: `scheme://user:password@host:port,host:port/path?name=value`.
///
/// Every broker's module says which parts it reads. A parameter that it does not know is refused, since a misspelt one
/// would otherwise be a setting that nobody made. Two parts mean the same everywhere:
/// - `?prefix=NAME` stands before every name that is made at the broker, so that several deployments can share one;
/// - what is shown of a URL, also by `Debug`, has `***` for its password, and for a user without one, which may be a
///   token.
///
/// Within user and password `/`, `?`, `%`, `@` and, in the user, `:` are written `%2F`, `%3F`, `%25`, `%40` and `%3A`.
///
/// ```
/// use antiphon_queue::QueueUrl;
///
/// let url: QueueUrl = "amqp://guest:secret@localhost:5672/%2f?prefix=staging".parse()?;
/// assert_eq!((url.scheme(), url.hosts(), url.path()), ("amqp", "localhost:5672", "/"));
/// assert_eq!(url.prefix(), Some("staging"));
/// assert_eq!(url.to_string(), "amqp://guest:***@localhost:5672/%2f?prefix=staging");
/// # Ok::<_, antiphon_queue::QueueError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct QueueUrl {
    scheme: String,
    user: Option<String>,
    password: Option<String>,
    hosts: String,
    path: String,
    parameters: BTreeMap<String, String>,
    shown: String,
}

impl QueueUrl {
    /// What stands before the first `:`, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The user, decoded.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded. Never to be shown.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The hosts with their ports, as they were given: brokers that are clusters take several, with commas between.
    pub fn hosts(&self) -> &str {
        &self.hosts
    }

    /// What stands behind the hosts and their `/`, decoded; behind the `:` where there are no hosts.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path began at the root: `embedded:///var` or `embedded:/var`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_rooted(&self) -> bool {
        self.shown.split_once(':').is_some_and(|(_, rest)| rest.starts_with('/')) && self.hosts.is_empty()
    }

    /// What stands before every name at the broker.
    pub fn prefix(&self) -> Option<&str> {
        self.parameters.get(PREFIX).map(String::as_str)
    }

    /// A parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A parameter that is a number, a duration's name or the like.
    ///
    /// Errors: [`QueueError::Refused`], which names the parameter, if it is there and cannot be read.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>, QueueError> {
        let read = |text: &str| {
            text.parse().map_err(|error| {
                QueueError::Refused(format!("the parameter {name:?} of {self} is {text:?}: {error}"))
            })
        };
        self.parameter(name).map(read).transpose()
    }

    /// Refuses parameters that are neither `prefix` nor among these.
    ///
    /// Errors: [`QueueError::Refused`], which names the parameter and those that there are.
    pub fn only(&self, known: &[&str]) -> Result<(), QueueError> {
        let foreign = |name: &&String| *name != PREFIX && !known.contains(&name.as_str());
        match self.parameters.keys().find(foreign) {
            None => Ok(()),
            Some(name) => {
                let known = [known, &[PREFIX]].concat().join(", ");
                Err(QueueError::Refused(format!("{self} has no parameter {name:?}; there are: {known}")))
            }
        }
    }
}

fn refused(why: impl fmt::Display) -> QueueError {
    // The text is not shown: it may hold a password.
    QueueError::Refused(format!("the URL of a queue is scheme://host:port?name=value: {why}"))
}

fn decoded(text: &str, what: &str) -> Result<String, QueueError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let hex = rest.split_at_checked(2).and_then(|(hex, behind)| {
            let value = u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
            Some((value, behind))
        });
        let Some((value, behind)) = hex else {
            return Err(refused(format_args!("a % in its {what} is not followed by two hexadecimal digits")));
        };
        out.push(value);
        rest = behind;
    }
    String::from_utf8(out).map_err(|_| refused(format_args!("its {what} is not UTF-8")))
}

impl FromStr for QueueUrl {
    type Err = QueueError;

    /// Reads a URL. Errors: [`QueueError::Refused`], which says what is wrong and shows no password.
    fn from_str(text: &str) -> Result<Self, QueueError> {
        if text.len() > URL_BYTES_MAX {
            return Err(refused(format_args!("{} bytes are more than {URL_BYTES_MAX}", text.len())));
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(|| refused("there is no scheme"))?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(legal) {
            return Err(refused("its scheme is not made of letters, digits, '+', '-' and '.'"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", rest),
        };
        if !authority.is_empty() && (path.contains('@') || query.contains('@')) {
            // Usually the end of a password with one of these, whose parts would be taken for something to be shown.
            return Err(refused(
                "there is a '@' behind its hosts: it is written %40, and in a password '/' is %2F and '?' is %3F",
            ));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => (None, None),
            Some((user, "")) => (Some(decoded(user, "user")?), None),
            Some((user, password)) => (Some(decoded(user, "user")?), Some(decoded(password, "password")?)),
        };
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(refused(format_args!("it has the parameter {name:?} twice")));
            }
        }
        if let Some(prefix) = parameters.get(PREFIX) {
            Topic::new(prefix).map_err(|error| refused(format_args!("its prefix: {error}")))?;
        }
        let shown = login.map_or_else(
            || text.to_owned(),
            |login| {
                let user = login.split_once(':').filter(|(_, password)| !password.is_empty());
                let shown = user.map_or_else(|| "***@".to_owned(), |(user, _)| format!("{user}:***@"));
                text.replacen(&format!("{login}@"), &shown, 1)
            },
        );
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user,
            password,
            hosts: hosts.to_owned(),
            path: decoded(path, "path")?,
            parameters,
            shown,
        })
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let url: QueueUrl = "nats://a:4222,b:4222?prefix=x&replicas=3".parse().unwrap();
        assert_eq!((url.scheme(), url.hosts(), url.path()), ("nats", "a:4222,b:4222", ""));
        assert_eq!(url.parsed::<u8>("replicas").unwrap(), Some(3));
        url.only(&["replicas"]).unwrap();
        let url: QueueUrl = "embedded:./a%20folder/queue".parse().unwrap();
        assert_eq!((url.scheme(), url.hosts(), url.path()), ("embedded", "", "./a folder/queue"));
        let url: QueueUrl = "embedded:///var/lib/queue".parse().unwrap();
        assert_eq!((url.hosts(), url.path()), ("", "var/lib/queue"));
        let url: QueueUrl = "sqs+http://key:se%3Acret@127.0.0.1:9324".parse().unwrap();
        assert_eq!((url.user(), url.password()), (Some("key"), Some("se:cret")));
        assert!("memory:".parse::<QueueUrl>().is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_is_shown() {
        let refusal = |text: &str| text.parse::<QueueUrl>().unwrap_err().to_string();
        assert!(refusal("localhost").contains("no scheme"));
        assert!(refusal("amqp://a:secret%zz@h").contains("password"));
        assert!(refusal("nats://h?a=1&a=2").contains("twice"));
        assert!(refusal("nats://h?prefix=A").contains("prefix"));
        for secret in ["amqp://a:se/cret@h", "amqp://a:1?cret@h", "amqp://a:p@h/cret@h"] {
            let refusal = refusal(secret);
            assert!(refusal.contains("%40") && !refusal.contains("cret"), "{refusal}");
        }
        for token in ["nats://secret@h", "nats://secret:@h"] {
            assert_eq!(token.parse::<QueueUrl>().unwrap().to_string(), "nats://***@h");
        }
        assert_eq!("embedded:/a@b".parse::<QueueUrl>().unwrap().to_string(), "embedded:/a@b");
        let url: QueueUrl = "amqp://secret:secret@h?replicas=many&x=1".parse().unwrap();
        assert_eq!(url.to_string(), "amqp://secret:***@h?replicas=many&x=1");
        let refusal = url.parsed::<u8>("replicas").unwrap_err().to_string();
        assert!(refusal.contains("replicas") && !refusal.contains(":secret"), "{refusal}");
        assert!(url.only(&["replicas"]).unwrap_err().to_string().contains("\"x\""));
    }
}
