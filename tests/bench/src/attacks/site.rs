//! The attacked system: a mesh and its front.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use envoy_config::{Settings, Target};
use kit::envoy::{Envoy, EnvoySetup};
use tempfile::TempDir;

use crate::Result;
use crate::process::Mesh;

/// The attacked front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    Embedded,
    Envoy,
}

impl Front {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Envoy => "Envoy",
        }
    }
}

/// A mesh on its own data directory, and the address of its front.
pub(super) struct Site {
    pub(super) url: String,
    pub(super) address: SocketAddr,
    mesh: Mesh,
    _envoy: Option<Envoy>,
    _data: TempDir,
}

impl Site {
    pub(super) async fn start(binary: &Path, front: Front) -> Result<Self> {
        let data = tempfile::tempdir()?;
        // Envoy is a trusted proxy, whose `x-forwarded-for` is used.
        let mesh = Mesh::start_with(binary, data.path(), &["--trusted-proxies", "127.0.0.1/32"]).await?;
        let envoy = match front {
            Front::Embedded => None,
            Front::Envoy => Some(envoy(&mesh).await?),
        };
        let url = envoy.as_ref().map_or_else(|| mesh.front.clone(), Envoy::url);
        let address = address(&url)?;
        Ok(Self { url, address, mesh, _envoy: envoy, _data: data })
    }

    pub(super) fn stop(self) -> Result<()> {
        let Self { mesh, _envoy: envoy, .. } = self;
        drop(envoy);
        mesh.stop()
    }
}

/// Starts Envoy with the settings of production in front of the services of this mesh.
async fn envoy(mesh: &Mesh) -> Result<Envoy> {
    let mut upstreams = BTreeMap::new();
    for rpc in proto::RPCS.iter().filter(|rpc| !rpc.is_internal()) {
        let domain = rpc.service().split('.').nth(1).ok_or("a package has a domain")?;
        upstreams.insert(rpc.service().to_owned(), address(&mesh.service(domain)?)?);
    }
    let setup = EnvoySetup { descriptor_set: proto::ENVOY_DESCRIPTOR_SET.to_vec(), upstreams };
    let envoy = Envoy::start_with(setup, |settings| {
        let Settings { descriptor_set, upstreams, listen, admin_port, directory, .. } = settings.clone();
        let production = Settings::of(Target::Local);
        *settings = Settings { descriptor_set, upstreams, listen, admin_port, directory, ..production };
    });
    Ok(envoy.await)
}

fn address(url: &str) -> Result<SocketAddr> {
    Ok(url.strip_prefix("http://").ok_or("no address")?.parse()?)
}
