//! The data folder.
//!
//! ```text
//! antiphon.json       the deployment and the public half of the root key; no secret
//! root.key            the root key, mode 0600, where it was made here
//! users/              the store of Users, and signing.key (0600) with its certificate
//! stories/ comments/  the stores of the others
//! queue/              the embedded queue
//! starter             the secret of the starter story's people, mode 0600; there until the story is complete
//! LOCK                locked while a process begins the folder, or makes keys in it
//! ```

use crate::cli::ServeArgs;
use api::root::{Certificate, certify};
use api::{PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use store::World;
use thiserror::Error;

/// Why the data folder cannot be used. Nothing in it was changed.
#[derive(Debug, Error)]
pub(crate) enum DataError {
    #[error("cannot use {path}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read as this program's: {detail}")]
    Malformed { path: PathBuf, detail: String },
    #[error("{path} holds {found:?} and no antiphon.json: name an empty or new folder with --data")]
    Foreign { path: PathBuf, found: String },
    #[error("{path} may be read by others (mode {mode:o}): it is a secret, do chmod 600")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} belongs to {what} {found}, not {wanted}")]
    Mismatch { path: PathBuf, what: &'static str, found: String, wanted: String },
    #[error(
        "a service that begins alone must be told where it belongs: give --deployment and --root-public-key, or start \
         all services once on {path}"
    )]
    Alone { path: PathBuf },
    #[error(
        "users cannot sign tokens: the root key has not signed this replica's key. Copy root.key of the folder in which \
         the deployment began to {path}, with mode 600, and start again; it is needed this once, and may then be removed \
         here"
    )]
    NoRootKey { path: PathBuf },
    #[error(
        "{path} holds another root key than the deployment's, {wanted}: copy root.key of the folder in which the \
         deployment began"
    )]
    OtherRootKey { path: PathBuf, wanted: String },
    #[error(
        "{path} held a store and it is gone: restore it from a backup, or mount it again; nothing was begun in its place"
    )]
    Gone { path: PathBuf },
    #[error("a --root-public-key is 43 characters of base64url: copy it from antiphon.json")]
    RootPublicKey,
    #[error("a --deployment is 32 lower-case hexadecimal digits: copy it from antiphon.json")]
    Deployment,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Io { path, source }
}

/// What `antiphon.json` says: nothing secret, to be copied to other machines of the deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Site {
    antiphon: u32,
    deployment: String,
    root_public_key: PublicKey,
    /// The stores that were begun here: one that is gone is told, not begun again.
    #[serde(default)]
    stores: BTreeSet<String>,
}

const FORMAT: u32 = 1;

/// A data folder.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    path: PathBuf,
    site: Site,
}

/// Only its holder makes files in a folder: of two processes that begin one, the second finds what the first made.
#[derive(Debug)]
struct Making(File);

impl Making {
    /// Waits for its turn: whoever has it needs moments.
    fn begin(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join("LOCK");
        let file =
            File::options().write(true).create(true).truncate(false).open(&path).map_err(io_error(&path))?;
        file.lock().map_err(io_error(&path))?;
        Ok(Self(file))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Closing it unlocks it as well, unless a child that is being started holds a copy for a moment.
        self.0.unlock().unwrap_or_default();
    }
}

impl Data {
    /// Opens the folder that the arguments name, making it where it is missing.
    pub(crate) fn open(args: &ServeArgs, world: &dyn World) -> Result<Self, DataError> {
        let path = &args.data;
        fs::create_dir_all(path).map_err(io_error(path))?;
        let site_path = path.join("antiphon.json");
        if !site_path.exists() {
            refuse_foreign(path)?;
            let _making = Making::begin(path)?;
            if !site_path.exists() {
                found(args, world)?;
            }
        }
        let site = read_site(&site_path, &fs::read(&site_path).map_err(io_error(&site_path))?)?;
        let check = |what, found: &str, wanted: Option<&String>| match wanted {
            Some(wanted) if wanted != found => Err(DataError::Mismatch {
                path: path.clone(),
                what,
                found: found.to_owned(),
                wanted: wanted.clone(),
            }),
            _ => Ok(()),
        };
        check("deployment", &site.deployment, args.deployment.as_ref())?;
        check("root key", &site.root_public_key.to_string(), args.root_public_key.as_ref())?;
        Ok(Self { path: path.clone(), site })
    }

    pub(crate) fn deployment(&self) -> &str {
        &self.site.deployment
    }

    pub(crate) fn root_public_key(&self) -> PublicKey {
        self.site.root_public_key
    }

    /// The folder of a service's store, or of the queue.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The key that signs tokens and the root key's signature over it, made on the first start of Users.
    pub(crate) fn signing_key(&self, world: &dyn World) -> Result<(SigningKey, Certificate), DataError> {
        let _making = Making::begin(&self.path)?;
        let folder = self.folder(users::NAME);
        let (key_path, certificate_path) = (folder.join("signing.key"), folder.join("signing.cert"));
        let key = match read_secret(&key_path)? {
            Some(key) => key,
            None => new_secret(&key_path, world)?,
        };
        let certificate = match fs::read_to_string(&certificate_path) {
            Ok(text) => text.trim().parse().map_err(|_| DataError::Malformed {
                path: certificate_path,
                detail: "it is no certificate: remove it, and it is made again".to_owned(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let root_path = self.path.join("root.key");
                let root = read_secret(&root_path)?
                    .ok_or_else(|| DataError::NoRootKey { path: root_path.clone() })?;
                if root.public() != self.site.root_public_key {
                    let wanted = self.site.root_public_key.to_string();
                    return Err(DataError::OtherRootKey { path: root_path, wanted });
                }
                let certificate = certify(&root, &key.public());
                write_new(&certificate_path, 0o644, format!("{certificate}\n").as_bytes())?;
                certificate
            }
            Err(error) => return Err(io_error(&certificate_path)(error)),
        };
        Ok((key, certificate))
    }

    /// Refuses to begin a store again that was begun here and is gone.
    pub(crate) fn expect_store(&self, name: &str) -> Result<(), DataError> {
        let path = self.folder(name);
        if self.site.stores.contains(name) && !path.join("STORE").exists() {
            return Err(DataError::Gone { path });
        }
        Ok(())
    }

    /// Notes that a store was begun.
    pub(crate) fn note_store(&self, name: &str) -> Result<(), DataError> {
        if self.site.stores.contains(name) {
            return Ok(());
        }
        let _making = Making::begin(&self.path)?;
        let path = self.path.join("antiphon.json");
        let mut site = read_site(&path, &fs::read(&path).map_err(io_error(&path))?)?;
        if site.stores.insert(name.to_owned()) {
            write_site(&self.path, &site)?;
        }
        Ok(())
    }

    /// The secret of the starter story's people, until the story was written to the end.
    pub(crate) fn starter_secret(&self) -> Result<Option<String>, DataError> {
        let path = self.path.join(STARTER);
        match fs::read_to_string(&path) {
            Ok(secret) => Ok(Some(secret.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path)(error)),
        }
    }

    /// The starter story is complete.
    pub(crate) fn starter_is_done(&self) -> Result<(), DataError> {
        let path = self.path.join(STARTER);
        fs::remove_file(&path).map_err(io_error(&path))
    }
}

fn read_site(path: &Path, bytes: &[u8]) -> Result<Site, DataError> {
    let malformed = |detail: String| DataError::Malformed { path: path.to_owned(), detail };
    let site: Site = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if site.antiphon > FORMAT {
        return Err(malformed(format!("its format {} is newer than {FORMAT}: upgrade", site.antiphon)));
    }
    Ok(site)
}

/// The name of the starter's secret.
const STARTER: &str = "starter";
/// What a start that was killed while it began the folder leaves behind.
const BEGUN: [&str; 6] = ["LOCK", "root.key", "root.new", STARTER, "starter.new", "antiphon.new"];

fn refuse_foreign(path: &Path) -> Result<(), DataError> {
    for entry in fs::read_dir(path).map_err(io_error(path))? {
        let name = entry.map_err(io_error(path))?.file_name().to_string_lossy().into_owned();
        // Another process may begin the folder right now.
        if !BEGUN.contains(&name.as_str()) && !path.join("antiphon.json").exists() {
            return Err(DataError::Foreign { path: path.to_owned(), found: name });
        }
    }
    Ok(())
}

/// Begins a data folder.
fn found(args: &ServeArgs, world: &dyn World) -> Result<(), DataError> {
    let path = &args.data;
    if let Some(deployment) = &args.deployment {
        deployment.parse::<messages::UserId>().map_err(|_| DataError::Deployment)?;
    }
    let told = args.deployment.is_some() && args.root_public_key.is_some();
    if args.service.is_some() && !told {
        return Err(DataError::Alone { path: path.clone() });
    }
    let root_public_key = if let Some(text) = &args.root_public_key {
        text.parse().map_err(|_| DataError::RootPublicKey)?
    } else {
        let key_path = path.join("root.key");
        read_secret(&key_path)?.map_or_else(|| new_secret(&key_path, world), Ok)?.public()
    };
    let deployment = args.deployment.clone().unwrap_or_else(|| format!("{:032x}", world.random()));
    let site = Site { antiphon: FORMAT, deployment, root_public_key, stores: BTreeSet::new() };
    // Who joins a deployment finds its stories there.
    if !args.empty && args.service.is_none() && !told {
        write_new(&path.join(STARTER), 0o600, format!("{:032x}\n", world.random()).as_bytes())?;
    }
    // The last file that is made: a folder without it is begun again.
    write_site(path, &site)
}

fn write_site(folder: &Path, site: &Site) -> Result<(), DataError> {
    let path = folder.join("antiphon.json");
    let json = serde_json::to_vec_pretty(site)
        .map_err(|error| DataError::Malformed { path: path.clone(), detail: error.to_string() })?;
    write_new(&path, 0o644, &json)
}

fn read_secret(path: &Path) -> Result<Option<SigningKey>, DataError> {
    let pem = match fs::read_to_string(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path)(error)),
    };
    let mode = fs::metadata(path).map_err(io_error(path))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataError::Exposed { path: path.to_owned(), mode });
    }
    let malformed = |error: api::keys::KeyError| DataError::Malformed {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    SigningKey::from_pem(&pem).map(Some).map_err(malformed)
}

fn new_secret(path: &Path, world: &dyn World) -> Result<SigningKey, DataError> {
    let mut seed = [0; 32];
    let (left, right) = seed.split_at_mut(16);
    left.copy_from_slice(&world.random().to_be_bytes());
    right.copy_from_slice(&world.random().to_be_bytes());
    let key = SigningKey::from_seed(seed);
    let malformed = |error: api::keys::KeyError| DataError::Malformed {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    write_new(path, 0o600, key.to_pem().map_err(malformed)?.as_bytes())?;
    Ok(key)
}

/// Writes a file that is there whole or not at all, and on the disk when this returns.
fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<(), DataError> {
    let draft = path.with_extension("new");
    let written = File::options().write(true).create(true).truncate(true).mode(mode).open(&draft).and_then(
        |mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&draft, path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        },
    );
    written.map_err(io_error(path))
}
