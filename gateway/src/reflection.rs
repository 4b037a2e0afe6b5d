//! gRPC reflection of the routable RPCs only.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::service::Routes;

use crate::route::UnusableDescriptors;

/// File with the types of error details. No RPC names them, but readers of errors need them.
const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

/// Adds reflection of the routable RPCs, in both of its versions.
pub(crate) fn add(
    routes: Routes,
    descriptors: &[u8],
    is_routable: impl Fn(&str) -> bool,
) -> Result<Routes, UnusableDescriptors> {
    let routable = routable(descriptors, is_routable)?;
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(routable.clone())
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().map_err(UnusableDescriptors::because)?;
    let v1alpha = builder().build_v1alpha().map_err(UnusableDescriptors::because)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// Returns the descriptor set without internal RPCs and the files that only they need.
fn routable(descriptors: &[u8], is_routable: impl Fn(&str) -> bool) -> Result<FileDescriptorSet, UnusableDescriptors> {
    let mut set = FileDescriptorSet::decode(descriptors).map_err(UnusableDescriptors::because)?;
    for file in &mut set.file {
        let package = file.package().to_owned();
        for service in &mut file.service {
            let prefix = format!("/{package}.{}/", service.name());
            service.method.retain(|method| is_routable(&format!("{prefix}{}", method.name())));
        }
        file.service.retain(|service| !service.method.is_empty());
        // Comments and positions, which reflection does not need, are most of the set.
        file.source_code_info = None;
    }
    let mut needed = BTreeSet::new();
    for file in set.file.iter().filter(|file| !file.service.is_empty() || file.name() == ERROR_DETAILS) {
        add_with_imports(&set.file, file, &mut needed);
    }
    set.file.retain(|file| needed.contains(file.name()));
    Ok(set)
}

fn add_with_imports(files: &[FileDescriptorProto], file: &FileDescriptorProto, needed: &mut BTreeSet<String>) {
    if needed.insert(file.name().to_owned()) {
        for import in files.iter().filter(|other| file.dependency.iter().any(|name| name == other.name())) {
            add_with_imports(files, import, needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_rpcs_and_their_files_are_hidden() {
        let set = routable(proto::DESCRIPTOR_SET, crate::is_routable).unwrap();
        let names: Vec<_> = set.file.iter().map(FileDescriptorProto::name).collect();
        assert!(names.contains(&"therapy/auth/v1/auth.proto"), "{names:?}");
        assert!(!names.contains(&"therapy/events/v1/events.proto"), "{names:?}");
        let text = format!("{set:?}");
        assert!(!text.contains("SubscriberService") && !text.contains("AccountEnded"));
    }
}
