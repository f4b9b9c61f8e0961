//! All attacks.

use super::Aim::{Compiler, Other, Time};
use super::End::{Failed, Installed, NotMade, Passed, Refused};
use super::Stage::{Authenticate, Describe, Install, Test};
use super::{Attack, End, Stage};

/// One that can end in one way only.
const fn attack(stage: Stage, name: &'static str, end: End) -> Attack {
    Attack { name, stage, aim: Other, ends: [end, end] }
}

/// One that computes, or lets the host compute, for ever.
const fn endless(stage: Stage, name: &'static str) -> Attack {
    let ends = match stage {
        Install | Describe => [
            Refused("component", "`describe` did not answer: the connector computed for more than 500 ms"),
            Refused("component", "`describe` did not answer: the connector did not answer within 5000 ms"),
        ],
        Authenticate => [
            NotMade(FAULT, "the connector computed for more than 1000 ms"),
            NotMade(FAULT, "the connector did not answer within 10000 ms"),
        ],
        Test => [
            Failed("budget", "the connector computed for more than 1000 ms"),
            Failed("timeout", "the connector did not answer within 5000 ms"),
        ],
    };
    Attack { name, stage, aim: Time, ends }
}

/// One that waits for ever.
const fn waiting(stage: Stage, name: &'static str) -> Attack {
    let end = match stage {
        Install | Describe => Refused("component", "the connector did not answer within 5000 ms"),
        Authenticate => NotMade(FAULT, "the connector did not answer within 10000 ms"),
        Test => Failed("timeout", "the connector did not answer within 5000 ms"),
    };
    Attack { name, stage, aim: Time, ends: [end, end] }
}

/// One on whoever compiles it.
const fn bomb(name: &'static str) -> Attack {
    let ends = [
        Refused("component", "compiling it took more than 3 s (limits.compile-seconds)"),
        Refused("component", "compiling it took more than 1024 MiB of memory"),
    ];
    Attack { name, stage: Install, aim: Compiler, ends }
}

const MUCH_MEMORY: &str = "the connector asked for more than 128 MiB of memory";
const STACK: &str = "call stack exhausted";
const UNFIT_ANSWER: &str = "the connector answered something that the contract does not know: ";
const UNFIT_VALUE: &str = "the connector handed the host something that the contract does not know: ";
const HANDED: &str = "the connector handed over more than 8 MiB at once";
const HANDLES: &str = "the connector asked for more than 4096 handles (limits.handles)";
const MOVES: &str = "it would decide whose domain is reached";
const FAULT: &str = "connector-fault";
const NO_HEADER: &str = "headers: HeaderError::InvalidSyntax";
const NOT_ITS_HEADER: &str = "headers: HeaderError::Forbidden";
const BROKE_OFF: &str = "broke off before its end";
const NOT_HTTP: &str = "ErrorCode::HttpProtocolError";
/// What a guest saw, which tells it backwards: `[redacted]`.
const REDACTED: &str = "]detcader[";

/// Every attack, in the order in which a connector comes to make it.
pub const ATTACKS: &[Attack] = &[
    bomb("huge-function"),
    bomb("long-function"),
    bomb("million-functions"),
    attack(Install, "deep-types", Refused("component", "is not valid WebAssembly")),
    attack(Install, "doubling-types", Refused("component", "is not valid WebAssembly")),
    // It is no connector, which shows once it is compiled, where it does not take too long.
    Attack {
        name: "deep-components",
        stage: Install,
        aim: Compiler,
        ends: [
            Refused("component", "does not have export `describe`"),
            Refused("component", "compiling it took more than"),
        ],
    },
    attack(Install, "many-imports", Refused("component", "has 900 imports; at most 200 are allowed")),
    attack(Install, "many-modules", Refused("component", "has 1000 modules; at most 200 are allowed")),
    endless(Install, "start-loop"),
    attack(Install, "start-memory", Refused("component", MUCH_MEMORY)),
    attack(Install, "start-stack", Refused("component", STACK)),
    attack(Install, "start-trap", Refused("component", "unreachable")),
    attack(Install, "large-memory", Refused("component", "it does not fit this host")),
    attack(Install, "large-table", Refused("component", "it does not fit this host")),
    attack(Install, "table-growth", Refused("component", "asked for a table of more than 20000 elements")),
    attack(Install, "own-handles", Refused("component", HANDLES)),
    attack(Install, "answer-out-of-bounds", Refused("component", UNFIT_ANSWER)),
    attack(Install, "answer-misaligned", Refused("component", UNFIT_ANSWER)),
    attack(Install, "text-out-of-bounds", Refused("component", UNFIT_ANSWER)),
    attack(Install, "text-not-utf8", Refused("component", UNFIT_ANSWER)),
    attack(Install, "unknown-case", Refused("component", UNFIT_ANSWER)),
    attack(Install, "list-out-of-bounds", Refused("component", UNFIT_ANSWER)),
    attack(Install, "list-of-nothing", Refused("component", HANDED)),
    attack(Install, "handed-out-of-bounds", Refused("component", UNFIT_VALUE)),
    attack(Install, "handed-unknown-case", Refused("component", UNFIT_VALUE)),
    attack(Install, "handed-unknown-handle", Refused("component", UNFIT_VALUE)),
    attack(Install, "handed-too-much", Refused("component", HANDED)),
    endless(Describe, "describe-loop"),
    endless(Describe, "describe-loop-in-host-calls"),
    attack(Describe, "describe-memory", Refused("component", MUCH_MEMORY)),
    attack(Describe, "describe-stack", Refused("component", STACK)),
    waiting(Describe, "describe-sleep"),
    endless(Describe, "describe-flood"),
    attack(Describe, "describe-huge-text", Refused("component", HANDED)),
    attack(Describe, "describe-huge-list", Refused("component", HANDED)),
    attack(Describe, "describe-nested-lists", Refused("component", HANDED)),
    attack(Describe, "describe-large-text", Refused("descriptor", "at most 262144 are allowed")),
    attack(Describe, "describe-network", Installed("ErrorCode::HttpRequestDenied")),
    attack(Describe, "describe-files", Installed("Err(")),
    attack(Describe, "icon-script", Refused("descriptor.icon-svg", "")),
    attack(Describe, "icon-handler", Refused("descriptor.icon-svg", "")),
    attack(Describe, "icon-link", Refused("descriptor.icon-svg", "")),
    attack(Describe, "icon-foreign", Refused("descriptor.icon-svg", "")),
    attack(Describe, "icon-entities", Refused("descriptor.icon-svg", "")),
    attack(Describe, "link-script", Refused("descriptor.documentation", "must be an https:// link")),
    attack(Describe, "name-path", Refused("descriptor.name", "")),
    attack(Describe, "name-control", Refused("descriptor.label", "must not contain control characters")),
    attack(Describe, "template-open", Refused("descriptor.origins[2]", "is not closed")),
    attack(Describe, "template-nested", Refused("descriptor.origins[2]", "")),
    attack(Describe, "template-in-name", Refused("descriptor.origins[2]", "")),
    attack(Describe, "template-unknown", Refused("descriptor.origins[2]", "`{elsewhere}` is no field")),
    attack(Describe, "template-secret", Refused("descriptor.origins[2]", "`{token}` is a secret")),
    attack(Describe, "template-recursive", Installed("A guest of the tests")),
    attack(Describe, "origin-wildcard", Refused("descriptor.origins[2]", "has a wildcard")),
    attack(Describe, "origin-free", Refused("descriptor.origins[2]", MOVES)),
    attack(Describe, "origin-free-domain", Refused("descriptor.origins[2]", MOVES)),
    attack(Describe, "origin-free-suffix", Refused("descriptor.origins[2]", MOVES)),
    attack(Describe, "origin-free-in-domain", Refused("descriptor.origins[2]", MOVES)),
    attack(Describe, "origin-user", Refused("descriptor.origins[2]", "")),
    attack(Describe, "origin-path", Refused("descriptor.origins[2]", "a path")),
    attack(Describe, "origin-scheme", Refused("descriptor.origins[2]", "must begin with https:// or http://")),
    endless(Authenticate, "authenticate-loop"),
    attack(Authenticate, "authenticate-memory", NotMade(FAULT, MUCH_MEMORY)),
    attack(Authenticate, "authenticate-stack", NotMade(FAULT, STACK)),
    waiting(Authenticate, "authenticate-sleep"),
    endless(Authenticate, "authenticate-flood"),
    attack(Authenticate, "authenticate-huge-plan", NotMade(FAULT, HANDED)),
    attack(Authenticate, "authenticate-recursive", NotMade("plan", "")),
    attack(Authenticate, "authenticate-many-placements", NotMade("plan", "placements has more than 32 entries")),
    attack(Authenticate, "authenticate-network", NotMade("invalid", "without a network: ErrorCode::HttpRequestDenied")),
    endless(Test, "loop"),
    endless(Test, "loop-in-host-calls"),
    endless(Test, "loop-over-memory"),
    attack(Test, "stack", Failed(FAULT, STACK)),
    waiting(Test, "sleep"),
    endless(Test, "poll-many"),
    endless(Test, "wake-storm"),
    endless(Test, "flood"),
    attack(Test, "memory", Failed("budget", MUCH_MEMORY)),
    attack(Test, "handles", Failed("budget", HANDLES)),
    attack(Test, "pollables", Failed("budget", HANDLES)),
    attack(Test, "random", Failed(FAULT, "")),
    attack(Test, "huge-message", Failed("budget", HANDED)),
    attack(Test, "huge-list", Failed("budget", HANDED)),
    attack(Test, "wrong-text", Failed(FAULT, UNFIT_ANSWER)),
    attack(Test, "ten-thousand-requests", Passed("32 of 10000 were answered; then")),
    attack(
        Test,
        "endless-upload",
        Failed("unavailable", "the limit on bytes of a request's body, 8388608, is used up"),
    ),
    endless(Test, "deaf-upload"),
    attack(Test, "ignored-answers", Passed("31 answers are left unread")),
    attack(
        Test,
        "answer-endless",
        Failed("unavailable", "the limit on bytes of an answer's body, 16777216, is used up"),
    ),
    attack(Test, "answer-endless-head", Failed("unavailable", "")),
    waiting(Test, "answer-drip"),
    waiting(Test, "answer-never"),
    attack(
        Test,
        "answer-packed",
        Failed("unavailable", "the limit on an answer's size over its compressed size, 100, is used up"),
    ),
    attack(Test, "answer-endless-trailers", Failed("unavailable", BROKE_OFF)),
    attack(Test, "answer-endless-extension", Failed("unavailable", BROKE_OFF)),
    waiting(Test, "answer-informational"),
    attack(Test, "answer-lengths", Failed("unavailable", NOT_HTTP)),
    attack(Test, "answer-negative-length", Failed("unavailable", NOT_HTTP)),
    attack(Test, "answer-length-and-chunks", Passed("}{")),
    attack(Test, "answer-huge-chunk", Failed("unavailable", BROKE_OFF)),
    attack(Test, "answer-zero-byte", Failed("unavailable", NOT_HTTP)),
    attack(Test, "answer-no-http", Failed("unavailable", NOT_HTTP)),
    attack(Test, "answer-switch", Passed("101")),
    attack(Test, "huge-read", Passed("less came than was asked for")),
    attack(Test, "huge-write", Failed(FAULT, "")),
    attack(Test, "smuggle-crlf", Passed(NO_HEADER)),
    attack(Test, "smuggle-crlf-in-name", Passed(NO_HEADER)),
    attack(Test, "smuggle-lengths", Passed(NO_HEADER)),
    attack(Test, "smuggle-short-length", Passed("is not as long as its content-length says")),
    attack(Test, "smuggle-transfer-encoding", Passed(NOT_ITS_HEADER)),
    attack(Test, "smuggle-host", Passed(NOT_ITS_HEADER)),
    attack(Test, "smuggle-connection", Passed(NOT_ITS_HEADER)),
    attack(Test, "smuggle-upgrade", Passed(NOT_ITS_HEADER)),
    attack(Test, "smuggle-absolute-form", Passed("path: refused")),
    attack(Test, "smuggle-request-line", Passed("path: refused")),
    attack(Test, "smuggle-method", Passed("method: refused")),
    attack(Test, "environment", Passed("0 0")),
    attack(Test, "read-file", Passed("Err(")),
    attack(Test, "write-file", Passed("Err(")),
    attack(Test, "list-folder", Passed("Err(")),
    attack(Test, "connect", Passed("access-denied")),
    attack(Test, "listen", Passed("access-denied")),
    attack(Test, "resolve", Passed("permanent-resolver-failure")),
    attack(Test, "echo-plain", Passed(REDACTED)),
    attack(Test, "echo-base64", Passed(REDACTED)),
    attack(Test, "echo-base64-in-text", Passed(REDACTED)),
    attack(Test, "echo-base64url", Passed(REDACTED)),
    attack(Test, "echo-hex", Passed(REDACTED)),
    attack(Test, "echo-percent", Passed(REDACTED)),
    attack(Test, "echo-json", Passed(REDACTED)),
    attack(Test, "echo-gzip", Passed(REDACTED)),
    attack(Test, "echo-chunks", Passed(REDACTED)),
    attack(Test, "echo-slow-chunks", Passed(REDACTED)),
    attack(Test, "echo-header", Passed(REDACTED)),
    attack(Test, "echo-trailers", Passed(REDACTED)),
    attack(Test, "echo-redirect", Passed(REDACTED)),
    attack(Test, "echo-error", Passed(REDACTED)),
    // No library gives a guest what stands behind the status.
    attack(Test, "echo-reason", Passed("304")),
    attack(Test, "echo-cut", Failed("unavailable", BROKE_OFF)),
];
