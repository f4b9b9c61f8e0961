"""A connector in Python: a service that takes a bearer token, asked by `wasi:http`."""

import json
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import outgoing_handler
from wit_world.imports.connector_types import (
    Account,
    Authentication,
    Connection,
    Descriptor,
    Failure,
    FailureKind,
    FailureKind_Forbidden,
    FailureKind_Misconfigured,
    FailureKind_Other,
    FailureKind_RateLimited,
    FailureKind_Unauthorized,
    FailureKind_Unavailable,
    Field,
    FieldKind,
    FieldKind_Secret,
    FieldKind_Text,
    FieldKind_Url,
    Grant,
    Lifecycle,
    Parameter,
    Placement_Header,
    Protocol,
    Report,
    SignIn,
)
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import (
    Fields,
    IncomingResponse,
    OutgoingRequest,
    Scheme_Http,
    Scheme_Https,
)

READ_BYTES = 16 * 1024


class Connector(exports.Connector):
    def describe(self) -> Descriptor:
        path = field("test-path", "Test path", FieldKind_Text())
        path.default = "/"
        token = field("token", "Token", FieldKind_Secret())
        return Descriptor(
            name="guest-py",
            label="Guest in Python",
            version="1.0.0",
            publisher="Turnbuckle",
            summary="A service that takes a bearer token",
            categories=[],
            documentation=None,
            icon_svg=None,
            lifecycle=Lifecycle.BETA,
            settings=[field("url", "Base URL", FieldKind_Url()), path],
            protocols=[Protocol("bearer", "Bearer token", None, SignIn.NONE, [token])],
            origins=["{url}"],
        )

    def authenticate(self, connection: Connection) -> Authentication:
        header = Parameter("Authorization", "Bearer {token}")
        return Authentication([], Grant([], None, [], [], [], None), [Placement_Header(header)])

    def test(self, connection: Connection) -> Report:
        settings = dict(connection.settings)
        path = settings["test-path"]
        answer = get(settings["url"].rstrip("/") + path)
        status = answer.status()
        if not 200 <= status < 300:
            raise Err(Failure(kind_of(answer), f"the service answered {status}"))
        login = login_in(read(answer))
        account = None if login is None else Account(login, login)
        return Report(f"The service answered {status} to GET {path}", account, [])


def field(name: str, label: str, kind: FieldKind) -> Field:
    return Field(name, label, None, None, kind, True, None, None)


def get(url: str) -> IncomingResponse:
    parts = urlsplit(url)
    request = OutgoingRequest(Fields())
    request.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + (f"?{parts.query}" if parts.query else ""))
    try:
        coming = outgoing_handler.handle(request, None)
        coming.subscribe().block()
        outcome = coming.get()
    except Err as error:
        raise unreachable(error.value) from error
    # The outer result says that nobody took the answer before, the inner one whether there is one.
    if isinstance(outcome, Ok) and isinstance(outcome.value, Ok):
        return outcome.value.value
    raise unreachable(outcome.value.value if isinstance(outcome, Ok) else outcome)


def unreachable(reason: object) -> Err:
    return Err(Failure(FailureKind_Unavailable(), f"no answer from the service: {reason}"))


def read(answer: IncomingResponse) -> bytes:
    chunks = []
    with answer.consume() as body, body.stream() as stream:
        while True:
            try:
                chunks.append(stream.blocking_read(READ_BYTES))
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return b"".join(chunks)
                raise unreachable("it broke off") from error


def login_in(body: bytes) -> str | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    login = said.get("login") if isinstance(said, dict) else None
    return None if login is None else str(login)


def kind_of(answer: IncomingResponse) -> FailureKind:
    status = answer.status()
    if status == 401:
        return FailureKind_Unauthorized()
    if status == 403:
        return FailureKind_Forbidden()
    if status == 404:
        return FailureKind_Misconfigured("test-path")
    if status == 429:
        after = b"".join(answer.headers().get("retry-after")[:1])
        return FailureKind_RateLimited(int(after) if after.isdigit() and len(after) < 10 else None)
    return FailureKind_Unavailable() if status >= 500 else FailureKind_Other()
