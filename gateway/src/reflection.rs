//! Reflection of what people may call, and of nothing else.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::service::Routes;

use crate::route::UnusableDescriptors;

/// What the details of refusals are made of. No RPC names these types, and who reads a refusal needs them.
const REFUSALS: &str = "google/rpc/error_details.proto";

/// Adds reflection, in both of its versions, of the RPCs that are public.
pub(crate) fn add(
    routes: Routes,
    descriptors: &[u8],
    is_public: impl Fn(&str) -> bool,
) -> Result<Routes, UnusableDescriptors> {
    let public = public(descriptors, is_public)?;
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_file_descriptor_set(public.clone())
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().map_err(UnusableDescriptors::because)?;
    let v1alpha = builder().build_v1alpha().map_err(UnusableDescriptors::because)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// The set without what is internal: neither its RPCs nor the files that only they need.
fn public(descriptors: &[u8], is_public: impl Fn(&str) -> bool) -> Result<FileDescriptorSet, UnusableDescriptors> {
    let mut set = FileDescriptorSet::decode(descriptors).map_err(UnusableDescriptors::because)?;
    for file in &mut set.file {
        let package = file.package().to_owned();
        for service in &mut file.service {
            let prefix = format!("/{package}.{}/", service.name());
            service.method.retain(|method| is_public(&format!("{prefix}{}", method.name())));
        }
        file.service.retain(|service| !service.method.is_empty());
        // Comments and positions, which nobody asks reflection for, are most of the set.
        file.source_code_info = None;
    }
    let mut needed = BTreeSet::new();
    for file in set.file.iter().filter(|file| !file.service.is_empty() || file.name() == REFUSALS) {
        need(&set.file, file, &mut needed);
    }
    set.file.retain(|file| needed.contains(file.name()));
    Ok(set)
}

fn need(files: &[FileDescriptorProto], file: &FileDescriptorProto, needed: &mut BTreeSet<String>) {
    if needed.insert(file.name().to_owned()) {
        for import in files.iter().filter(|other| file.dependency.iter().any(|name| name == other.name())) {
            need(files, import, needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_rpcs_and_what_only_they_need_are_left_out() {
        let set = public(proto::DESCRIPTOR_SET, crate::is_public).unwrap();
        let names: Vec<_> = set.file.iter().map(FileDescriptorProto::name).collect();
        assert!(names.contains(&"therapy/auth/v1/auth.proto"), "{names:?}");
        assert!(!names.contains(&"therapy/events/v1/events.proto"), "{names:?}");
        let text = format!("{set:?}");
        assert!(!text.contains("SubscriberService") && !text.contains("AccountEnded"));
    }
}
