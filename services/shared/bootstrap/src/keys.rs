use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::{KeySet, Keys};
use chassis::{Context, Platform};
use proto::auth::v1::GetJwksRequest;
use proto::auth::v1::auth_service_client::AuthServiceClient;

const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the keys that verify access tokens, which a background task fetches from auth.
#[must_use]
pub fn auth_keys(auth: &Upstream, platform: &Platform) -> Keys {
    let (keys, refresher) = Keys::fetched(Arc::clone(&platform.clock));
    let auth = auth.clone();
    platform.tasks.spawn(refresher.run(move || {
        let auth = auth.clone();
        async move {
            let context = Context::background(FETCH_TIMEOUT);
            let fetch = |transport, request| async move { AuthServiceClient::new(transport).get_jwks(request).await };
            let jwks = auth.call(&context, GetJwksRequest {}, fetch).await?;
            Ok(KeySet::ed25519(jwks.keys.iter().map(|key| (key.kid.as_str(), key.x.as_str()))))
        }
    }));
    keys
}
