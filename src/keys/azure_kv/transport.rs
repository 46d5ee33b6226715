//! The Azure SDK on our HTTP client: our roots and proxies, no redirects, bounded attempts and answers.

use std::fmt;
use std::time::Instant;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};
use reqwest::Method;

use crate::keys::net::{CallError, Reply};
use crate::limits;

/// A client for the SDK.
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(http: reqwest::Client) -> Self {
        Self(http)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let fail = |error: CallError| {
            let kind = if error == CallError::Connect { ErrorKind::Connection } else { ErrorKind::Other };
            Error::with_error(kind, error, "no answer")
        };
        let Body::Bytes(body) = request.body() else { return Err(fail(CallError::Request)) };
        let method = Method::from_bytes(request.method().as_str().as_bytes()).map_err(|_| fail(CallError::Request))?;
        let mut url = request.url().clone();
        // A key without version leaves a gap in the SDK's path.
        let path = url.path().replace("//", "/");
        url.set_path(&path);
        let make = || {
            let mut builder = self.0.request(method.clone(), url.clone());
            for (name, value) in request.headers().iter() {
                builder = builder.header(name.as_str(), value.as_str());
            }
            builder.body(body.clone())
        };
        // The deadline of the run bounds the whole question, of which this is a part.
        let until = Instant::now() + limits::NETWORK_CALL;
        let reply = Reply::get(make, until).await.map_err(fail)?;
        let mut headers = Headers::new();
        for (name, value) in &reply.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(reply.status.into(), headers, reply.body.into_exposed()))
    }
}
