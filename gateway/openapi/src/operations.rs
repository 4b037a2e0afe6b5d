//! The paths: each RPC with each of its routes.

use std::collections::BTreeMap;
use std::error::Error;

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use proto::Caller;

use crate::contract::{Body, Contract, Route};
use crate::examples;
use crate::failures::{Failures, common_headers, takes_idempotency_key};
use crate::overlay::{Events, Operation, Overlay};
use crate::schemas::{Schemas, Side, behaves};
use crate::yaml::{Map, Value, json, list, map, reference, text};

/// Parts of the document that describe the operations.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) paths: Map,
    pub(crate) responses: Map,
    pub(crate) examples: Map,
    pub(crate) schemas: Map,
}

impl Operations {
    /// Writes the paths, and the components that they refer to.
    ///
    /// # Errors
    /// If the overlay names something that the descriptors don't have, or lacks a required part.
    pub(crate) fn write(contract: &Contract, overlay: &Overlay) -> Result<Self, Box<dyn Error>> {
        check_names(contract, overlay)?;
        let failures = Failures::new(contract, overlay)?;
        let mut writer = Writer { contract, overlay, failures: &failures, schemas: Schemas::new(contract, overlay) };
        let mut paths = Map::new();
        for tag in &overlay.tags {
            let is_of = |route: &&Route| tag.service.as_deref() == Some(&*route.service());
            for route in contract.routes.iter().filter(is_of) {
                let operation = writer.operation(route, &tag.name)?;
                let path = paths.entry(text(route.path())).or_insert_with(|| Map::new().into());
                if let Value::Mapping(path) = path {
                    path.insert(text(route.http.method.to_lowercase()), operation.into());
                }
            }
        }
        for reasons in [&contract.reasons, &contract.field_reasons] {
            writer.schemas.enumeration(reasons)?;
        }
        paths.extend(overlay.paths.clone());
        let schemas = writer.schemas.into_components();
        Ok(Self { paths, responses: failures.components()?, examples: failures.examples()?, schemas })
    }
}

/// Checks that everything the overlay names exists, and that every service has a tag.
fn check_names(contract: &Contract, overlay: &Overlay) -> Result<(), String> {
    let routes = &contract.routes;
    let known = |name: &str| routes.iter().any(|route| route.rpc.name() == name);
    if let Some(name) = overlay.operations.keys().find(|name| !known(name)) {
        return Err(format!("overlay.yaml: there is no operation {name}"));
    }
    let tagged = |service: &str| overlay.tags.iter().any(|tag| tag.service.as_deref() == Some(service));
    if let Some(service) = routes.iter().map(Route::service).find(|service| !tagged(service)) {
        return Err(format!("overlay.yaml: {service} has no tag"));
    }
    let fields = contract.fields();
    if let Some(name) = overlay.fields.keys().find(|name| !fields.contains(name.as_str())) {
        return Err(format!("overlay.yaml: there is no field {name}"));
    }
    Ok(())
}

struct Writer<'a> {
    contract: &'a Contract,
    overlay: &'a Overlay,
    failures: &'a Failures<'a>,
    schemas: Schemas<'a>,
}

impl Writer<'_> {
    fn operation(&mut self, route: &Route, tag: &str) -> Result<Map, Box<dyn Error>> {
        let name = route.rpc.name();
        let entry = self.overlay.operations.get(name).ok_or(format!("overlay.yaml: no operation {name}"))?;
        let id = operation_id(name);
        let is_alias = route.alias > 0;
        let (alias_id, summary) = match route.alias {
            0 => (id.clone(), entry.summary.clone()),
            1 => (format!("{id}Alias"), format!("{} (another path)", entry.summary)),
            more => (format!("{id}Alias{more}"), format!("{} (another path)", entry.summary)),
        };
        let mut operation = map([
            ("operationId", text(alias_id)),
            ("tags", list([text(tag)])),
            ("summary", text(summary)),
            ("description", text(self.description(route, is_alias))),
        ]);
        if is_alias {
            operation.insert(text("x-alias-of"), text(id));
        }
        if route.access.allows_anonymous() {
            operation.insert(text("security"), list([]));
        }
        operation.insert(text("parameters"), list(self.parameters(route, entry)?));
        if let Some(body) = self.request_body(route, entry)? {
            operation.insert(text("requestBody"), body.into());
        }
        let mut success = self.success(route, entry)?;
        if !entry.links.is_empty() {
            success.insert(text("links"), self.links(entry)?.into());
        }
        let mut responses = map([(&*route.access.http_status.to_string(), success.into())]);
        responses.extend(self.failures.responses(route)?);
        operation.insert(text("responses"), responses.into());
        Ok(operation)
    }

    /// Returns the links to operations whose parameters are fields of the answer.
    fn links(&self, entry: &Operation) -> Result<Map, String> {
        let link = |(name, parameters): (&String, &BTreeMap<String, String>)| {
            let target =
                self.overlay.operations.get(name).ok_or(format!("overlay.yaml: no operation {name} to link to"))?;
            let parameters =
                parameters.iter().map(|(name, field)| (text(name), text(format!("$response.body#/{field}"))));
            let link = map([
                ("operationId", text(operation_id(name))),
                ("description", text(format!("{}.", target.summary))),
                ("parameters", parameters.collect::<Map>().into()),
            ]);
            Ok((text(operation_id(name)), link.into()))
        };
        entry.links.iter().map(link).collect()
    }

    fn description(&self, route: &Route, is_alias: bool) -> String {
        let comment = self.contract.markdown(&route.rpc.parent_file(), route.rpc.path());
        let who = match *route.access.callers {
            [Caller::Client] => "For clients.",
            [Caller::Therapist] => "For therapists.",
            [Caller::Anyone] => "For everybody, without a token.",
            _ => "For clients and therapists.",
        };
        let first = self.contract.routes.iter().find(|other| other.rpc == route.rpc).filter(|_| is_alias);
        let same = first.map(|first| format!(" An alias: the same method as `{first}`, at another path. Use either."));
        format!("{who}{}\n\n{comment}", same.unwrap_or_default())
    }

    fn parameters(&mut self, route: &Route, entry: &Operation) -> Result<Vec<Value>, Box<dyn Error>> {
        let mut parameters = Vec::new();
        for name in route.variables() {
            let field = route.rpc.input().get_field_by_name(name).ok_or(format!("no field {name}"))?;
            parameters.push(self.parameter(&field, "path")?);
        }
        for field in route.query() {
            parameters.push(self.parameter(&field, "query")?);
        }
        if takes_idempotency_key(route) {
            parameters.push(reference("parameters", "IdempotencyKey"));
        }
        if entry.events.is_some() {
            parameters.push(reference("parameters", "LastEventId"));
        }
        parameters.push(reference("parameters", "RequestId"));
        Ok(parameters)
    }

    fn parameter(&mut self, field: &FieldDescriptor, place: &str) -> Result<Value, Box<dyn Error>> {
        let Value::Mapping(mut schema) = self.schemas.field(field, Side::Request { partial: false })? else {
            return Err("a schema is a mapping".into());
        };
        let description = schema.remove("description").unwrap_or_default();
        schema.remove("examples");
        let mut parameter = map([("name", text(field.json_name())), ("in", text(place))]);
        parameter.insert(text("required"), (place == "path" || behaves(field, "REQUIRED")).into());
        parameter.insert(text("description"), description);
        parameter.insert(text("schema"), schema.into());
        if let Some(example) = self.overlay.field(field.parent_message().name(), field.name()).example {
            parameter.insert(text("example"), example);
        }
        Ok(parameter.into())
    }

    fn request_body(&mut self, route: &Route, entry: &Operation) -> Result<Option<Map>, Box<dyn Error>> {
        let input = route.rpc.input();
        let side = Side::Request { partial: entry.body.partial };
        let file = input.parent_file();
        let (message, comment, without) = match &route.body {
            Body::None => return Ok(None),
            Body::Whole => {
                (input.clone(), self.contract.markdown(&file, input.path()), route.variables().collect::<Vec<_>>())
            }
            Body::Field(field) => (message_of(field)?, self.contract.markdown(&file, field.path()), Vec::new()),
        };
        let name = entry.body.name.clone().unwrap_or_else(|| self.schemas.name_of(&message));
        let schema = self.schemas.message(&name, &message, side, &without)?;
        let example = entry.example.clone().ok_or(format!("overlay.yaml: {} has no example", route.rpc.name()))?;
        let json = map([("schema", schema), ("example", example)]);
        let mut body = map([("description", text(comment))]);
        // A body that needs no field need not be sent.
        let needs = |field: FieldDescriptor| behaves(&field, "REQUIRED") && !without.contains(&field.name());
        let needed = !entry.body.partial && message.fields().any(needs);
        body.insert(text("required"), needed.into());
        body.insert(text("content"), map([("application/json", json.into())]).into());
        Ok(Some(body))
    }

    fn success(&mut self, route: &Route, entry: &Operation) -> Result<Map, Box<dyn Error>> {
        let output = route.rpc.output();
        let file = output.parent_file();
        let mut headers = common_headers();
        if route.access.http_status == 204 {
            return Ok(map([("description", text("It is done; the answer is empty.")), ("headers", headers.into())]));
        }
        if let Some(Events { message, id }) = &entry.events {
            let event = self.contract.message(message).ok_or(format!("overlay.yaml: there is no message {message}"))?;
            return Ok(stream(message, id, headers, &examples::of_message(self.overlay, &event)?));
        }
        let (description, schema, example) = if let Some(field) = &route.response_body {
            let item = message_of(field)?;
            headers.insert(text("x-next-page-token"), reference("headers", "x-next-page-token"));
            let description = self.contract.markdown(&file, field.path());
            let items = self.schemas.message(&self.schemas.name_of(&item), &item, Side::Answer, &[])?;
            let schema = map([("type", text("array")), ("items", items)]).into();
            (description, schema, list([examples::of_message(self.overlay, &item)?]))
        } else {
            let description = self.contract.markdown(&file, output.path());
            let schema = self.schemas.message(&self.schemas.name_of(&output), &output, Side::Answer, &[])?;
            (description, schema, examples::of_message(self.overlay, &output)?)
        };
        let shown = match &entry.answers {
            answers if answers.is_empty() => ("example", example),
            answers => ("examples", answers.clone().into()),
        };
        let content = map([("application/json", map([("schema", schema), shown]).into())]);
        Ok(map([("description", text(description)), ("headers", headers.into()), ("content", content.into())]))
    }
}

/// Returns the success response of an RPC that streams events.
fn stream(message: &str, id: &str, headers: Map, example: &Value) -> Map {
    let description = format!(
        "Server-sent events, until the stream ends. The data of each is a `{message}` as JSON, and its id is the `{id}`, to resume \
         after. A line that begins with a colon only shows that the stream is alive."
    );
    let what = "Server-sent events (the HTML standard, section 9.2).";
    let schema = map([("type", text("string")), ("description", text(what))]);
    let id = example.get(id).and_then(Value::as_str).unwrap_or_default();
    let example = text(format!("id: {id}\ndata: {}\n\n", json(example)));
    let content = map([("text/event-stream", map([("schema", schema.into()), ("example", example)]).into())]);
    map([("description", text(description)), ("headers", headers.into()), ("content", content.into())])
}

/// Returns the operation id of an RPC.
fn operation_id(rpc: &str) -> String {
    let mut id = rpc.to_owned();
    if let Some(first) = id.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    id
}

fn message_of(field: &FieldDescriptor) -> Result<MessageDescriptor, String> {
    let kind = field.kind();
    kind.as_message().cloned().ok_or_else(|| format!("{} is no message", field.full_name()))
}
