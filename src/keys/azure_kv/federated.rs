//! A token of the cluster proves to Entra who we are (workload identity). The SDK's own credential would read its file
//! without bound, and wait for a pipe without end.

use std::fmt;

use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;

use crate::secret::{Secret, SecretBytes};

/// The token of a file. Kubernetes replaces it long before it expires, and a run is short.
pub(super) struct FederatedToken(Secret<String>);

impl FederatedToken {
    /// Reads the content of a token file.
    ///
    /// # Errors
    /// Fixed words.
    pub(super) fn new(content: &SecretBytes) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(content.expose()).map_err(|_| "holds no token")?.trim();
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token { Ok(Self(Secret::new(text.to_owned()))) } else { Err("holds no token") }
    }
}

impl fmt::Debug for FederatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FederatedToken")
    }
}

#[async_trait::async_trait]
impl ClientAssertion for FederatedToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose().clone())
    }
}
