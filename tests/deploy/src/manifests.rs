//! Renders the manifests as `kubectl apply -k` does.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::{at, run, tool};

/// The rendered base or overlay.
pub(crate) struct Manifests {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

pub(crate) static BASE: LazyLock<Manifests> = LazyLock::new(|| Manifests::render("k8s/base"));
pub(crate) static LOCAL: LazyLock<Manifests> = LazyLock::new(|| Manifests::render("k8s/overlays/local"));

/// Returns the base and the local overlay.
pub(crate) fn all() -> [&'static Manifests; 2] {
    [&BASE, &LOCAL]
}

impl Manifests {
    fn render(name: &'static str) -> Self {
        let text = run(Command::new(tool("kubectl")).arg("kustomize").arg(at(name)));
        Self { name, objects: documents(&text), text }
    }

    /// Returns the objects of a kind.
    pub(crate) fn of(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// Returns an object.
    pub(crate) fn get(&self, kind: &'static str, name: &str) -> &Value {
        let found = self.of(kind).find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("{}: there is no {kind} {name}", self.name))
    }

    /// Returns the Deployments of a component, by name.
    pub(crate) fn deployments(&self, component: &str) -> BTreeMap<&str, &Value> {
        let label = |object: &Value| object["metadata"]["labels"]["app.kubernetes.io/component"] == component;
        let found = self.of("Deployment").filter(|object| label(object));
        found.map(|object| (object["metadata"]["name"].as_str().unwrap(), object)).collect()
    }

    /// Returns the environment variables of a container.
    pub(crate) fn variables(&self, container: &Value) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for source in items(&container["envFrom"]) {
            let name = source["configMapRef"]["name"].as_str().expect("variables come from ConfigMaps");
            let data = self.get("ConfigMap", name)["data"].as_object().unwrap();
            variables.extend(data.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())));
        }
        for variable in items(&container["env"]) {
            variables.insert(
                variable["name"].as_str().unwrap().to_owned(),
                variable["value"].as_str().expect("a variable has its value beside it").to_owned(),
            );
        }
        variables
    }
}

/// Parses the documents of a YAML file.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| serde::Deserialize::deserialize(document).expect("YAML")).collect()
}

/// Returns the items of a list. A missing list is empty.
pub(crate) fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns the pod spec of a Deployment.
pub(crate) fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

/// Returns all containers of a Deployment, init containers first.
pub(crate) fn containers(deployment: &Value) -> impl Iterator<Item = &Value> {
    items(&pod(deployment)["initContainers"]).iter().chain(items(&pod(deployment)["containers"]))
}

/// Returns the strings of a list.
pub(crate) fn words(list: &Value) -> Vec<String> {
    items(list).iter().map(|word| word.as_str().expect("a text").to_owned()).collect()
}
