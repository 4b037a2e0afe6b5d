//! Tests of every pod against the Pod Security Standard 'restricted' and our own rules.

use serde_json::{Value, json};

use crate::manifests::{self, containers, items, pod};

/// A rule's name, and a predicate for Deployments.
type Rule = (&'static str, fn(&Value) -> bool);

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
const RESTRICTED: [Rule; 8] = [
    ("no namespace of the host", |it| {
        ["hostNetwork", "hostPID", "hostIPC"].iter().all(|name| pod(it)[name].as_bool() != Some(true))
    }),
    ("no port of the host", |it| {
        containers(it).all(|it| items(&it["ports"]).iter().all(|port| port.get("hostPort").is_none()))
    }),
    ("only volumes without the host", |it| {
        let allowed = ["configMap", "emptyDir", "projected", "secret"];
        let kinds = |volume: &Value| volume.as_object().unwrap().keys().filter(|key| *key != "name").cloned().collect();
        items(&pod(it)["volumes"]).iter().all(|it| {
            let kinds: Vec<String> = kinds(it);
            kinds.len() == 1 && allowed.contains(&kinds[0].as_str())
        })
    }),
    ("not privileged, and never more than at the start", |it| {
        containers(it).all(|it| {
            let context = &it["securityContext"];
            context["allowPrivilegeEscalation"] == false && context["privileged"].as_bool() != Some(true)
        })
    }),
    ("no capability", |it| containers(it).all(|it| it["securityContext"]["capabilities"] == json!({"drop": ["ALL"]}))),
    ("a user that is not root", |it| {
        let context = &pod(it)["securityContext"];
        let none_else = containers(it).all(|it| {
            ["runAsUser", "runAsNonRoot", "runAsGroup"].iter().all(|name| it["securityContext"].get(name).is_none())
        });
        context["runAsNonRoot"] == true && context["runAsUser"].as_u64().is_some_and(|user| user > 0) && none_else
    }),
    ("the runtime's filter of system calls", |it| {
        let of_container = |it: &Value| it["securityContext"].get("seccompProfile").is_none();
        pod(it)["securityContext"]["seccompProfile"] == json!({"type": "RuntimeDefault"})
            && containers(it).all(of_container)
    }),
    ("no profile, label or setting of the kernel of its own", |it| {
        let of = |it: &Value| {
            ["seLinuxOptions", "sysctls", "procMount", "appArmorProfile"]
                .iter()
                .all(|n| it["securityContext"].get(n).is_none())
        };
        of(pod(it)) && containers(it).all(of)
    }),
];

const OURS: [Rule; 6] = [
    ("a file system that is only read", |it| {
        containers(it).all(|it| it["securityContext"]["readOnlyRootFilesystem"] == true)
    }),
    ("requests and limits", |it| {
        let has = |it: &Value, of: &str, name: &str| it["resources"][of][name].is_string();
        containers(it).all(|it| ["requests", "limits"].iter().all(|of| has(it, of, "cpu") && has(it, of, "memory")))
    }),
    ("no token for the API of the cluster that it didn't ask for", |it| {
        pod(it)["automountServiceAccountToken"] == false
    }),
    ("no variables that the cluster makes up", |it| pod(it)["enableServiceLinks"] == false),
    ("nothing in an image that changes under its name", |it| {
        containers(it).all(|it| it["imagePullPolicy"].as_str() != Some("Always"))
    }),
    ("a pod per replica that the selector finds", |it| {
        let labels = &it["spec"]["template"]["metadata"]["labels"];
        let selector = it["spec"]["selector"]["matchLabels"].as_object().unwrap();
        !selector.is_empty() && selector.iter().all(|(key, value)| &labels[key] == value)
    }),
];

#[test]
fn pods_meet_restricted_standard_and_own_rules() {
    for manifests in manifests::all() {
        for deployment in manifests.of("Deployment") {
            for (rule, holds) in RESTRICTED.iter().chain(&OURS) {
                assert!(holds(deployment), "{}: {}: {rule}", manifests.name, deployment["metadata"]["name"]);
            }
        }
    }
}

#[test]
fn each_rule_detects_a_violation() {
    let good = manifests::BASE.get("Deployment", "vault");
    let (pod, first) = ("/spec/template/spec", "/spec/template/spec/containers/0");
    for (place, name, value, rule) in [
        (pod, "hostNetwork", json!(true), 0),
        (first, "ports", json!([{"containerPort": 1, "hostPort": 1}]), 1),
        (pod, "volumes", json!([{"name": "host", "hostPath": {"path": "/"}}]), 2),
        (first, "securityContext", json!({"allowPrivilegeEscalation": true}), 3),
        (first, "securityContext", json!({"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}), 4),
        (pod, "securityContext", json!({"runAsNonRoot": true, "runAsUser": 0}), 5),
        (first, "securityContext", json!({"runAsUser": 0}), 5),
        (first, "securityContext", json!({"seccompProfile": {"type": "Unconfined"}}), 6),
        (pod, "securityContext", json!({"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "0"}]}), 7),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(place).unwrap()[name] = value;
        assert!(!RESTRICTED[rule].1(&bad), "{}", RESTRICTED[rule].0);
    }
}

#[test]
fn namespace_enforces_restricted_standard() {
    for manifests in manifests::all() {
        let labels = &manifests.get("Namespace", "therapy")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
        for object in manifests.objects.iter().filter(|object| object["kind"] != "Namespace") {
            assert_eq!(object["metadata"]["namespace"], "therapy", "{}", object["metadata"]["name"]);
            let workload = ["Pod", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet"];
            assert!(!workload.iter().any(|kind| object["kind"] == *kind), "the rules above look at Deployments alone");
        }
    }
}
