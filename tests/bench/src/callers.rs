//! Calls under measurement: reading a profile by three routes, and logging in.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use proto::clients::v1::GetClientRequest;
use proto::clients::v1::client_service_client::ClientServiceClient;
use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::Result;
use crate::process::Mesh;

/// Accounts that log in: the logins of one account run one after the other.
const ACCOUNTS: usize = 8;
pub(crate) const PASSWORD: &str = "seven quiet herons";

/// A client with a profile, and connections to read it by each route. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Callers {
    store: aws_sdk_dynamodb::Client,
    grpc: ClientServiceClient<Channel>,
    bearer: MetadataValue<Ascii>,
    http: reqwest::Client,
    front: String,
    token: String,
    emails: Arc<[String]>,
    id: String,
}

impl Callers {
    pub(crate) async fn new(mesh: &Mesh) -> Result<Self> {
        let front = mesh.front.clone();
        let http = reqwest::Client::new();
        let emails: Vec<String> =
            (0..ACCOUNTS).map(|number| format!("bench.{number}.{}@example.org", mesh.id())).collect();
        let post = async |path: &str, token: Option<&str>, body: Value| -> Result<Value> {
            let mut request = http.post(format!("{front}{path}")).json(&body);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            Ok(request.send().await?.error_for_status()?.json().await?)
        };
        for email in &emails {
            post("/auth/register", None, json!({"email": email, "password": PASSWORD, "role": "CLIENT"})).await?;
        }
        let email = emails.first().ok_or("no account")?;
        let pair = post("/auth/login", None, json!({"email": email, "password": PASSWORD})).await?;
        let token = pair["accessToken"].as_str().ok_or("no token")?.to_owned();
        let profile = json!({"name": "Asha Rao", "email": email, "pincode": "110001"});
        let made = post("/clients", Some(&token), profile).await?;
        let id = made["clientId"].as_str().ok_or("no id")?.to_owned();
        let channel = Channel::from_shared(mesh.service("clients")?)?.tcp_nodelay(true).connect().await?;
        Ok(Self {
            store: store(mesh).await,
            grpc: ClientServiceClient::new(channel),
            bearer: format!("Bearer {token}").parse()?,
            http,
            front,
            token,
            emails: emails.into(),
            id,
        })
    }

    /// Reads the item from DynamoDB, as the service does.
    pub(crate) async fn raw(&self) -> Result<()> {
        let get = self
            .store
            .get_item()
            .table_name("therapy-Clients")
            .key("pk", AttributeValue::S(format!("CLIENT#{}", self.id)))
            .key("sk", AttributeValue::S("PROFILE".to_owned()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        get.send().await?.item.map(drop).ok_or_else(|| "the profile is not in the table".into())
    }

    /// Reads the profile from the service.
    pub(crate) async fn grpc(&self) -> Result<()> {
        let mut request = tonic::Request::new(GetClientRequest { client_id: self.id.clone() });
        request.metadata_mut().insert("authorization", self.bearer.clone());
        self.grpc.clone().get_client(request).await?;
        Ok(())
    }

    /// Reads the profile through the front.
    pub(crate) async fn rest(&self) -> Result<()> {
        let request = self.http.get(format!("{}/clients/{}", self.front, self.id)).bearer_auth(&self.token);
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }

    /// Logs in with the account of this number, modulo the number of accounts.
    pub(crate) async fn login(&self, number: usize) -> Result<()> {
        let email = self.emails.get(number % ACCOUNTS).ok_or("no account")?;
        let login = json!({"email": email, "password": PASSWORD});
        let request = self.http.post(format!("{}/auth/login", self.front)).json(&login);
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }
}

/// Configures the SDK as the services do.
pub(crate) async fn store(mesh: &Mesh) -> aws_sdk_dynamodb::Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .http_client(http)
        .endpoint_url(&mesh.dynamodb)
        .credentials_provider(Credentials::new(&*mesh.access_key, "local", None, None, "loopback"));
    aws_sdk_dynamodb::Client::new(&config.load().await)
}
