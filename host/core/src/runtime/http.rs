//! `wasi:http` as a guest sees it: each request is handed to egress, whole, and each refusal comes back as an error code.

use http_body_util::BodyExt as _;
use tracing::Instrument as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::sandbox::Network;
use crate::egress::{EgressError, Phase, Rule, Timeouts};

/// Without a network nothing leaves.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) network: Option<Network>,
}

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Finished), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn set_host_header(&mut self) -> bool {
        // Egress derives it from the URL that it judged.
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        64 << 10
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Finished,
    ) -> Answered {
        let network = self.network.clone();
        // It is sent by a task of its own, and belongs to the guest that asked for it all the same.
        let span = tracing::Span::current();
        let sending = async move {
            let Network { egress, permit, call } = network.ok_or(Error::HttpRequestDenied)?;
            let options = options.unwrap_or_default();
            let timeouts = Timeouts {
                connect: options.connect_timeout,
                first_byte: options.first_byte_timeout,
                between_bytes: options.between_bytes_timeout,
            };
            let request = request.map(|body| {
                body.map_err(|_error| EgressError::RequestBody { problem: "was cut off by the connector" })
                    .boxed_unsync()
            });
            let response = egress.send(&permit, &call, request, timeouts).await.map_err(|error| code(&error))?;
            let finished: Finished = Box::new(async { Ok(()) });
            Ok((response.map(|body| body.map_err(|error| code(&error)).boxed_unsync()), finished))
        };
        Box::new(sending.instrument(span))
    }
}

/// What a guest is told. Its author reads the words; they hold nothing that the guest may not know.
fn code(error: &EgressError) -> Error {
    match error {
        EgressError::Denied(denied) => match denied.rule {
            Rule::Address => Error::DestinationIpProhibited,
            Rule::Method => Error::HttpRequestMethodInvalid,
            Rule::Url | Rule::UserInfo => Error::HttpRequestUriInvalid,
            _ => Error::HttpRequestDenied,
        },
        EgressError::Dns { reason, .. } => Error::DnsError { rcode: Some(reason.clone()), info_code: None },
        EgressError::Connect { .. } => Error::ConnectionRefused,
        EgressError::Tls { .. } => Error::TlsCertificateError,
        EgressError::Timeout { phase, .. } => match phase {
            Phase::Connect => Error::ConnectionTimeout,
            Phase::FirstByte => Error::HttpResponseTimeout,
            Phase::BetweenBytes | Phase::Call => Error::ConnectionReadTimeout,
        },
        EgressError::Response { .. } => Error::HttpProtocolError,
        EgressError::Budget { .. } | EgressError::RequestBody { .. } | EgressError::Attach { .. } => {
            Error::InternalError(Some(error.for_guest()))
        }
    }
}
