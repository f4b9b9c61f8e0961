//! All attacks.

use super::End::{Failed, Installed, NotMade, Passed, Refused};
use super::Stage::{Authenticate, Describe, Install, Test};
use super::{Attack, End, Stage};

const fn attack(stage: Stage, name: &'static str, ends: End) -> Attack {
    Attack { name, stage, ends }
}

const SLOW_DESCRIBE: End =
    Refused("component", "`describe` did not answer: the connector computed for more than 500 ms");
const SLOW: &str = "the connector computed for more than 500 ms";
const LATE: &str = "the connector did not answer within 3000 ms";
const MUCH_MEMORY: &str = "the connector asked for more than 128 MiB of memory";
const COMPILING: End = Refused("component", "compiling it took more than");
const UNFIT_ANSWER: &str = "the connector answered something that the contract does not know: ";
const UNFIT_VALUE: &str = "the connector handed the host something that the contract does not know: ";
const HANDED: &str = "the connector handed over more than 8 MiB at once";
const MOVES: &str = "it would decide whose domain is reached";
const FAULT: &str = "connector-fault";

/// Every attack, in the order in which a connector comes to make it.
pub const ATTACKS: &[Attack] = &[
    attack(Install, "huge-function", COMPILING),
    attack(Install, "long-function", COMPILING),
    attack(Install, "million-functions", COMPILING),
    attack(Install, "deep-types", Refused("component", "is not valid WebAssembly")),
    attack(Install, "doubling-types", Refused("component", "is not valid WebAssembly")),
    attack(Install, "deep-components", Refused("component", "is not valid WebAssembly")),
    attack(Install, "many-imports", Refused("component", "has 100000 imports; at most 200 are allowed")),
    attack(Install, "many-modules", Refused("component", "has 1000 modules; at most 200 are allowed")),
    attack(Install, "start-loop", SLOW_DESCRIBE),
    attack(Install, "start-memory", Refused("component", MUCH_MEMORY)),
    attack(Install, "start-stack", Refused("component", "call stack exhausted")),
    attack(Install, "start-trap", Refused("component", "unreachable")),
    attack(Install, "large-memory", Refused("component", "it does not fit this host")),
    attack(Install, "large-table", Refused("component", "it does not fit this host")),
    attack(Install, "table-growth", Refused("component", "asked for a table of more than 20000 elements")),
    attack(Install, "own-handles", Refused("component", "asked for more than 4096 handles (limits.handles)")),
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
    attack(Describe, "describe-loop", SLOW_DESCRIBE),
    attack(Describe, "describe-loop-in-host-calls", SLOW_DESCRIBE),
    attack(Describe, "describe-memory", Refused("component", MUCH_MEMORY)),
    attack(Describe, "describe-stack", Refused("component", "the connector failed")),
    attack(Describe, "describe-sleep", Refused("component", "the connector did not answer within 5000 ms")),
    attack(Describe, "describe-flood", SLOW_DESCRIBE),
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
    attack(Authenticate, "authenticate-loop", NotMade(FAULT, SLOW)),
    attack(Authenticate, "authenticate-memory", NotMade(FAULT, MUCH_MEMORY)),
    attack(Authenticate, "authenticate-stack", NotMade(FAULT, "the connector failed")),
    attack(Authenticate, "authenticate-sleep", NotMade(FAULT, "the connector did not answer within 5000 ms")),
    attack(Authenticate, "authenticate-flood", NotMade(FAULT, SLOW)),
    attack(Authenticate, "authenticate-huge-plan", NotMade(FAULT, HANDED)),
    attack(Authenticate, "authenticate-many-placements", NotMade("plan", "placements has more than 32 entries")),
    attack(Authenticate, "authenticate-network", NotMade("invalid", "without a network: ErrorCode::HttpRequestDenied")),
    attack(Test, "loop", Failed("budget", SLOW)),
    attack(Test, "loop-in-host-calls", Failed("budget", SLOW)),
    attack(Test, "loop-over-memory", Failed("budget", SLOW)),
    attack(Test, "stack", Failed(FAULT, "the connector failed")),
    attack(Test, "sleep", Failed("timeout", LATE)),
    attack(Test, "poll-many", Failed("budget", SLOW)),
    attack(Test, "flood", Failed("budget", SLOW)),
    attack(Test, "memory", Failed("budget", MUCH_MEMORY)),
    attack(Test, "handles", Failed("budget", "asked for more than 4096 handles")),
    attack(Test, "pollables", Failed("budget", "asked for more than 4096 handles")),
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
    attack(Test, "deaf-upload", Failed("budget", SLOW)),
    attack(Test, "ignored-answers", Passed("31 answers are left unread")),
    attack(Test, "endless-answer", Failed("unavailable", "the limit on bytes of an answer")),
    attack(Test, "endless-head", Failed("unavailable", "")),
    attack(Test, "slow-answer", Failed("timeout", LATE)),
    attack(Test, "no-answer", Failed("timeout", LATE)),
    attack(Test, "packed-answer", Failed("unavailable", "the limit on bytes of an answer")),
    attack(Test, "environment", Passed("0 0")),
];
