//! The manifests, as `kubectl apply` would send them.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::{at, run, tool};

/// What an overlay or the base becomes.
pub(crate) struct Manifests {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

pub(crate) static BASE: LazyLock<Manifests> = LazyLock::new(|| Manifests::render("k8s/base"));
pub(crate) static LOCAL: LazyLock<Manifests> = LazyLock::new(|| Manifests::render("k8s/overlays/local"));

/// Both.
pub(crate) fn all() -> [&'static Manifests; 2] {
    [&BASE, &LOCAL]
}

impl Manifests {
    fn render(name: &'static str) -> Self {
        let text = run(Command::new(tool("kubectl")).arg("kustomize").arg(at(name)));
        Self { name, objects: documents(&text), text }
    }

    /// The objects of a kind.
    pub(crate) fn of(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// One object.
    pub(crate) fn get(&self, kind: &'static str, name: &str) -> &Value {
        let found = self.of(kind).find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("{}: there is no {kind} {name}", self.name))
    }

    /// The Deployments of a component, by name.
    pub(crate) fn deployments(&self, component: &str) -> BTreeMap<&str, &Value> {
        let label = |object: &Value| object["metadata"]["labels"]["app.kubernetes.io/component"] == component;
        let found = self.of("Deployment").filter(|object| label(object));
        found.map(|object| (object["metadata"]["name"].as_str().unwrap(), object)).collect()
    }

    /// The variables that a container is given.
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

/// The documents of a YAML file.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| serde::Deserialize::deserialize(document).expect("YAML")).collect()
}

/// The items of a list, which may be missing.
pub(crate) fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What the containers of a Deployment run in.
pub(crate) fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

/// All containers of a Deployment, those that run first among them.
pub(crate) fn containers(deployment: &Value) -> impl Iterator<Item = &Value> {
    items(&pod(deployment)["initContainers"]).iter().chain(items(&pod(deployment)["containers"]))
}

/// The texts of a list.
pub(crate) fn words(list: &Value) -> Vec<String> {
    items(list).iter().map(|word| word.as_str().expect("a text").to_owned()).collect()
}
