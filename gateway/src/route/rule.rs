//! `google.api.http`: the rules of a method, out of its options.

use http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

/// One way to call a method over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpRule {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Empty for no body, `*` for the whole request, or the field that is the body.
    pub(crate) body: String,
    /// Empty for the whole answer, or the field that is the body.
    pub(crate) response_body: String,
}

/// The rules of a method; none if it has no route.
pub(crate) fn rules(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<HttpRule> {
    let Some(extension) = pool.get_extension_by_name("google.api.http") else {
        return Vec::new();
    };
    let options = method.options();
    let value = options.get_extension(&extension);
    let Some(main) = value.as_message().filter(|_| options.has_extension(&extension)) else {
        return Vec::new();
    };
    let additional = main.get_field_by_name("additional_bindings");
    let more = additional.as_deref().and_then(Value::as_list).into_iter().flatten().filter_map(Value::as_message);
    std::iter::once(main).chain(more).filter_map(rule).collect()
}

fn rule(message: &DynamicMessage) -> Option<HttpRule> {
    let text = |field: &str| Some(message.get_field_by_name(field)?.as_str()?.to_owned());
    let methods = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ];
    let (pattern, method) = methods.into_iter().find(|(pattern, _)| message.has_field_by_name(pattern))?;
    Some(HttpRule {
        method,
        path: text(pattern)?,
        body: text("body").unwrap_or_default(),
        response_body: text("response_body").unwrap_or_default(),
    })
}
