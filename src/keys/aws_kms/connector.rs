//! The AWS SDK on our HTTP client: our roots and proxies, no redirects, a bounded answer.

use std::fmt;

use aws_sdk_kms::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use reqwest::{Client, Method};

use crate::keys::net::{CallError, exchange};

/// Wraps a client for the SDK. The SDK sets the time of an attempt and decides about the next one.
pub(super) fn http_client(client: Client) -> SharedHttpClient {
    http_client_fn(move |_, _| SharedHttpConnector::new(Connector(client.clone())))
}

struct Connector(Client);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { send(&client, &request).await })
    }
}

async fn send(client: &Client, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|_| user())?;
    let mut builder = client.request(method, request.uri());
    for (name, value) in request.headers() {
        builder = builder.header(name, value);
    }
    // The SDK's requests are all in memory; none is a stream.
    builder = builder.body(request.body().bytes().ok_or_else(user)?.to_vec());
    let reply = exchange(builder).await.map_err(|error| match error {
        CallError::TimedOut => ConnectorError::timeout(Box::new(error)),
        CallError::Broken | CallError::Connect => ConnectorError::io(Box::new(error)),
        _ => ConnectorError::other(Box::new(error), None),
    })?;
    let status = StatusCode::try_from(reply.status).map_err(|_| user())?;
    let mut response = HttpResponse::new(status, SdkBody::from(reply.body.into_exposed()));
    for (name, value) in &reply.headers {
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

fn user() -> ConnectorError {
    ConnectorError::user(Box::new(CallError::Request))
}
