use std::error::Error as _;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chassis::identity::Issuer;
use chassis::{Platform, Running};
use dynamo::secret::{Secret, Secrets};
use embedded_dynamodb::{Engine, Eraser, StartError};
use kernel::{BoxError, Error};
use rustix::fs::{Access, access};

use crate::front::RunningFront;
use crate::services::{Starter, TABLES, bind};
use crate::{Config, Storage};

const TASKS_TIMEOUT: Duration = Duration::from_secs(5);

/// A running mesh.
#[derive(Debug)]
pub struct Mesh {
    front: RunningFront,
    services: Vec<Running>,
    engine: Option<Engine>,
    dynamodb: String,
    issuer: Arc<Issuer>,
    platform: Platform,
}

impl Mesh {
    /// Starts everything, and returns when every service is ready.
    ///
    /// # Errors
    /// If a port, the data directory or DynamoDB is unavailable; each error names its remedy.
    pub async fn start(mut config: Config, platform: Platform) -> Result<Self, BoxError> {
        let hosts = config.front.hosts_at(config.listen)?;
        // Bound first, so that a port conflict is reported before anything is created.
        let listener = bind(config.listen, "MESH_LISTEN").await?;
        let (secrets, key_encryption_keys) = secrets(&config.storage, &platform)?;
        let engine = match config.dynamodb.endpoint {
            Some(_) => None,
            None => Some(start_engine(&config.storage, &platform).await?),
        };
        let dynamodb = match &engine {
            Some(engine) => {
                config.dynamodb.endpoint = Some(engine.endpoint());
                config.dynamodb.access_key = engine.access_key().into();
                config.dynamodb.connect(platform.entropy.clone()).await.with_erasure(Arc::new(Files(engine.eraser())))
            }
            None => {
                if !config.storage.memory {
                    take_access_key(&mut config.dynamodb, &config.storage.data_dir)?;
                }
                config.dynamodb.connect(platform.entropy.clone()).await
            }
        };
        dynamodb.create_or_verify(TABLES).await?;

        let issuer = Arc::new(workload_issuer(&secrets, &platform)?);
        let starter = Starter {
            config: &config,
            dynamodb,
            secrets,
            key_encryption_keys,
            issuer: Arc::clone(&issuer),
            platform: platform.clone(),
            space: engine.as_ref().map(Engine::space),
        };
        let services = starter.start_all().await?;
        let front = RunningFront::start(listener, &config, hosts, &services, &issuer)?;
        let dynamodb = config.dynamodb.endpoint.unwrap_or_else(|| format!("AWS, {}", config.dynamodb.region));
        Ok(Self { front, services, engine, dynamodb, issuer, platform })
    }

    /// Returns the address of the front.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.front.address
    }

    /// Returns the services by name, with their addresses.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.services.iter().map(|service| (service.name(), service.address()))
    }

    /// Returns the issuer of the services' tokens, which allows calls to a service in the name of another.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// Returns the endpoint of DynamoDB, for display.
    #[must_use]
    pub fn dynamodb(&self) -> &str {
        &self.dynamodb
    }

    /// Shuts down from the front inwards, so that every request in flight still reaches its dependencies. Returns
    /// whether everything drained in time.
    pub async fn shutdown(self) -> bool {
        let mut well = self.front.drain().await;
        for service in self.services.into_iter().rev() {
            well &= service.drain().await;
        }
        well &= self.platform.tasks.shutdown(TASKS_TIMEOUT).await;
        if let Some(engine) = self.engine {
            well &= engine.stop().await.inspect_err(|error| tracing::warn!(%error, "DynamoDB")).is_ok();
        }
        well
    }
}

/// Returns the issuer of workload tokens of the all-in-one that has these secrets.
///
/// # Errors
/// If the key can't be made.
pub fn workload_issuer(secrets: &Secrets, platform: &Platform) -> Result<Issuer, BoxError> {
    Issuer::from_seed(&*secrets.derive("workload-issuer")?, Arc::clone(&platform.clock))
}

/// Reads the secrets and the key-encryption keys from the named files, or creates them at the first start.
fn secrets(storage: &Storage, platform: &Platform) -> Result<(Secrets, Secrets), BoxError> {
    if !storage.memory {
        make_directory(&storage.data_dir)?;
    }
    let of = |named: &Option<PathBuf>, usual: fn(&Path, &Platform) -> Result<Secrets, BoxError>| match named {
        Some(file) => bootstrap::read_secrets(file),
        None if storage.memory => Ok(Secrets::new(Secret::new(platform.entropy.array()), Vec::new())),
        None => usual(&storage.data_dir, platform),
    };
    Ok((of(&storage.secrets_file, own_secrets)?, of(&storage.key_encryption_keys_file, own_keys)?))
}

/// Creates the data directory if it is missing, and checks that files can be created in it.
fn make_directory(directory: &Path) -> Result<(), BoxError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let usable = made.and_then(|()| Ok(access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?));
    usable.map_err(|error| {
        let directory = directory.display();
        let remedy = "make it a directory that you may write to, or set MESH_DATA_DIR to another one";
        format!("the data directory {directory} can't be used: {error}; {remedy}").into()
    })
}

/// Adds the remedy to an error of a file that the data directory holds.
fn of_data_directory(error: &BoxError) -> BoxError {
    format!("{error}; restore the file from a copy, or set MESH_DATA_DIR to another directory").into()
}

/// Returns the key-encryption keys in the data directory, created if missing: vault rejects them if it needs others.
fn own_keys(directory: &Path, platform: &Platform) -> Result<Secrets, BoxError> {
    let keys = bootstrap::make_secrets(&directory.join("key-encryption-keys"), &*platform.entropy);
    keys.map_err(|error| of_data_directory(&error))
}

/// Returns the secrets in the data directory, created if both they and the data are missing.
fn own_secrets(directory: &Path, platform: &Platform) -> Result<Secrets, BoxError> {
    let file = directory.join("secrets");
    if embedded_dynamodb::has_data(directory) && !file.exists() {
        let missing = format!("{} is missing, without which the data can't be read", file.display());
        return Err(of_data_directory(&missing.into()));
    }
    bootstrap::make_secrets(&file, &*platform.entropy).map_err(|error| of_data_directory(&error))
}

/// Erasure in the files of the embedded engine.
#[derive(Debug)]
struct Files(Eraser);

impl dynamo::Erasure for Files {
    fn erase(&self) -> Pin<Box<dyn Future<Output = kernel::Result<()>> + Send + '_>> {
        Box::pin(async {
            self.0
                .erase()
                .await
                .map_err(|error| if error.is_full() { Error::storage_full(error) } else { Error::unavailable(error) })
        })
    }
}

/// Sets the access key of the mesh that runs on this data directory, for a DynamoDB on the loopback interface.
///
/// # Errors
/// If the directory holds a key that can't be read.
pub fn take_access_key(dynamodb: &mut dynamo::Config, directory: &Path) -> Result<(), BoxError> {
    if dynamodb.is_local() {
        let key = embedded_dynamodb::access_key(directory).map_err(|error| {
            let place = directory.display();
            let remedy = "set MESH_DATA_DIR to the data directory of the mesh";
            format!("the access key of DynamoDB in {place} can't be read: {error}; {remedy}")
        })?;
        if let Some(key) = key {
            dynamodb.access_key = key.as_str().into();
        }
    }
    Ok(())
}

async fn start_engine(storage: &Storage, platform: &Platform) -> Result<Engine, BoxError> {
    let place = if storage.memory {
        embedded_dynamodb::Storage::Memory
    } else {
        embedded_dynamodb::Storage::Directory { path: storage.data_dir.clone(), limit: storage.data_limit }
    };
    Engine::start(place, storage.dynamodb_port, &*platform.entropy).await.map_err(|error| {
        let remedy = match &error {
            StartError::Port(..) => "; set MESH_DYNAMODB_PORT to another port, or to 0 for any that is free",
            StartError::InUse(_) | StartError::Directory(..) | StartError::Open(..) => {
                "; or set MESH_DATA_DIR to another directory"
            }
            _ => "",
        };
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}{remedy}").into()
    })
}
