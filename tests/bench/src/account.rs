//! A logged-in account.

use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::Result;
use crate::callers::PASSWORD;
use crate::process::Mesh;

/// An account with a login. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    email: String,
    http: reqwest::Client,
    front: String,
    pub(crate) token: String,
    bearer: MetadataValue<Ascii>,
}

impl Account {
    /// Registers an account whose email address begins with `name`, and logs in.
    pub(crate) async fn join(mesh: &Mesh, http: &reqwest::Client, name: &str, role: &str) -> Result<Self> {
        let post = async |path: &str, body: Value| -> Result<Value> {
            let sent = http.post(format!("{}{path}", mesh.front)).json(&body).send().await?;
            Ok(sent.error_for_status()?.json().await?)
        };
        let email = format!("{name}.{}@example.org", mesh.id());
        let user = post("/auth/register", json!({"email": email, "password": PASSWORD, "role": role})).await?;
        let pair = post("/auth/login", json!({"email": email, "password": PASSWORD})).await?;
        let token = pair["accessToken"].as_str().ok_or("no token")?.to_owned();
        Ok(Self {
            email,
            id: user["userId"].as_str().ok_or("no id")?.to_owned(),
            bearer: format!("Bearer {token}").parse()?,
            http: http.clone(),
            front: mesh.front.clone(),
            token,
        })
    }

    /// Creates a therapist's profile.
    pub(crate) async fn create_profile(&self, name: &str) -> Result<()> {
        let profile = json!({"name": name, "email": self.email, "specialty": "Grief", "pincode": "110001"});
        self.post("/therapists", &profile).await
    }

    /// Creates a client's profile, without which no conversation begins.
    pub(crate) async fn create_client_profile(&self) -> Result<()> {
        self.post("/clients", &json!({"name": "Asha", "email": self.email, "pincode": "110001"})).await
    }

    /// Posts through the front.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<()> {
        self.made(path, body).await.map(drop)
    }

    /// Posts through the front and returns the created object.
    pub(crate) async fn made(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.front)).bearer_auth(&self.token);
        Ok(request.json(body).send().await?.error_for_status()?.json().await?)
    }

    /// Changes an object through the front.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<()> {
        let request = self.http.put(format!("{}{path}", self.front)).bearer_auth(&self.token);
        request.json(body).send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }

    /// Reads through the front.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let request = self.http.get(format!("{}{path}", self.front)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Opens a stream of events through the front.
    pub(crate) async fn watch(&self, path: &str) -> Result<reqwest::Response> {
        let request = self.http.get(format!("{}{path}", self.front)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?)
    }

    /// Builds an authenticated request for a direct call to a service.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }
}

/// Connects to a service directly, as other services do.
pub(crate) async fn channel(mesh: &Mesh, service: &str) -> Result<Channel> {
    Ok(Channel::from_shared(mesh.service(service)?)?.tcp_nodelay(true).connect().await?)
}
