//! Server-side request forgery by names: whatever a name server answers, and however often it changes its mind, what is dialled
//! is one of the addresses that were judged.

use std::net::IpAddr;

use turnbuckle_tests::components;
use turnbuckle_tests::names::{Kind, Record};

use crate::forgery::{Ended, PUBLIC_AT, Range, welcome};
use crate::netns::in_own_internet;
use crate::scene::BINARY;

/// Where clouds keep what their machines may do, under the names that they give it, and names that anybody can get for an
/// address.
const METADATA: [(&str, &str); 28] = [
    ("metadata.google.internal", "169.254.169.254"),
    ("metadata.goog", "169.254.169.254"),
    ("metadata", "169.254.169.254"),
    ("instance-data", "169.254.169.254"),
    ("instance-data.ec2.internal", "169.254.169.254"),
    ("metadata.azure.internal", "169.254.169.254"),
    ("wireserver.azure.internal", "168.63.129.16"),
    ("metadata.tencentyun.com", "169.254.0.23"),
    ("metadata.aliyun.internal", "100.100.100.200"),
    ("metadata.oraclecloud.com", "192.0.0.192"),
    ("rancher-metadata", "169.254.169.250"),
    ("task-metadata.ecs.internal", "169.254.170.2"),
    ("fd00-ec2--254.six.example", "fd00:ec2::254"),
    ("metadata-six.google.internal", "fd20:ce::254"),
    ("kubernetes.default.svc", "10.96.0.1"),
    ("kubernetes.default.svc.cluster.local", "10.96.0.1"),
    ("consul.service.consul", "127.0.0.1"),
    ("docker.host.internal", "172.17.0.1"),
    ("gateway.docker.internal", "192.168.65.1"),
    ("169.254.169.254.nip.io", "169.254.169.254"),
    ("a9fea9fe.nip.io", "169.254.169.254"),
    ("169-254-169-254.sslip.io", "169.254.169.254"),
    ("127.0.0.1.nip.io", "127.0.0.1"),
    ("localtest.me", "127.0.0.1"),
    ("lvh.me", "127.0.0.1"),
    ("spoofed.burpcollaborator.net", "127.0.0.1"),
    ("1ynrnhl.xip.io", "10.66.0.1"),
    ("nat64.example", "64:ff9b::a9fe:a9fe"),
];

#[test]
fn a_name_of_metadata_or_of_this_machine_is_not_dialled() {
    const TEST: &str = "a_name_of_metadata_or_of_this_machine_is_not_dialled";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        for (name, address) in METADATA {
            names.at(name, &[address]);
        }
        let range = Range::new(canary, names, &[], &[], |at, _| welcome(at));
        let all = METADATA.iter().map(|(name, _)| *name).chain(["localhost", "LOCALHOST", "LocalHost."]);
        for (index, name) in all.enumerate() {
            for (at, host) in [name.to_owned(), format!("{name}."), name.to_uppercase()].into_iter().enumerate() {
                let ended = range.attempt(&format!("{index} {at}"), &format!("https://{host}"));
                let Ended::Denied { rule, words } = &ended else {
                    assert!(matches!(ended, Ended::Field(_)), "{host}: {ended:?}");
                    continue;
                };
                assert_eq!(rule, "address", "{host}: {words}");
                assert!(words.contains("it resolves to"), "{host}: {words}");
            }
        }
        assert_eq!(range.canary.taken(), []);
    });
}

#[test]
fn an_opened_network_is_reached_by_a_name_and_nothing_beside_it() {
    const TEST: &str = "an_opened_network_is_reached_by_a_name_and_nothing_beside_it";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        names.at("inside.example", &["10.66.0.1"]);
        names.at("beside.example", &["10.67.0.1"]);
        names.at("both.example", &["10.66.0.1", "10.67.0.1"]);
        let range = Range::new(canary, names, &["10.66.0.0/16"], &[], |at, _| welcome(at));
        assert_eq!(range.attempt("Inside", "http://inside.example"), Ended::Passed);
        assert_eq!(range.canary.taken(), ["[::ffff:10.66.0.1]:80".parse().unwrap()]);
        for name in ["beside.example", "both.example"] {
            let ended = range.attempt(name, &format!("http://{name}"));
            assert!(matches!(&ended, Ended::Denied { rule, .. } if rule == "address"), "{name}: {ended:?}");
        }
        assert_eq!(range.canary.taken(), []);
    });
}

/// A name whose addresses change, how often it is tried, and how often that may come through.
struct Turning {
    name: &'static str,
    answer: Box<dyn FnMut(Kind, usize) -> Vec<Record> + Send>,
    tries: usize,
    good: usize,
}

fn at(address: &str) -> Record {
    Record::At(address.parse().unwrap())
}

fn turning(
    name: &'static str,
    (tries, good): (usize, usize),
    answer: impl FnMut(Kind, usize) -> Vec<Record> + Send + 'static,
) -> Turning {
    Turning { name, answer: Box::new(answer), tries, good }
}

/// All addresses of IPv4 alone.
fn four(records: Vec<Record>, kind: Kind) -> Vec<Record> {
    if kind == Kind::A { records } else { Vec::new() }
}

fn all_turning() -> Vec<Turning> {
    const SIX_AT: &str = "2606:4700::1";
    vec![
        turning("alternates.example", (300, 150), |kind, nth| {
            four(vec![at(["93.184.216.34", "127.0.0.1"][nth % 2])], kind)
        }),
        turning("metadata-after-all.example", (150, 1), |kind, nth| {
            four(vec![at(if nth == 0 { PUBLIC_AT } else { "169.254.169.254" })], kind)
        }),
        turning("third-time.example", (150, 100), |kind, nth| {
            four(vec![at(if nth % 3 == 2 { "10.66.0.1" } else { PUBLIC_AT })], kind)
        }),
        turning("one-of-two.example", (100, 0), |kind, nth| {
            let mut both = vec![at(PUBLIC_AT), at("192.168.7.7")];
            both.rotate_left(nth % 2);
            four(both, kind)
        }),
        turning("one-of-twelve.example", (60, 0), |kind, nth| {
            let mut all: Vec<_> = (1..12).map(|last| at(&format!("93.184.216.{last}"))).collect();
            all.insert(nth % 12, at("100.64.0.1"));
            four(all, kind)
        }),
        turning("six-is-private.example", (80, 0), |kind, _| match kind {
            Kind::A => vec![at(PUBLIC_AT)],
            Kind::Aaaa => vec![at("fd00::1")],
        }),
        turning("four-is-private.example", (80, 0), |kind, _| match kind {
            Kind::A => vec![at("10.66.0.1")],
            Kind::Aaaa => vec![at(SIX_AT)],
        }),
        turning("mapped.example", (60, 0), |kind, _| match kind {
            Kind::A => vec![at(PUBLIC_AT)],
            Kind::Aaaa => vec![at("::ffff:127.0.0.1")],
        }),
        turning("translated.example", (60, 0), |kind, _| match kind {
            Kind::A => vec![at(PUBLIC_AT)],
            Kind::Aaaa => vec![at("64:ff9b::a9fe:a9fe")],
        }),
        turning("alias.example", (60, 30), |_, nth| {
            vec![Record::Alias(["cdn.example", "cdn-two.example"][nth % 2].into())]
        }),
    ]
}

#[test]
fn a_name_that_changes_its_address_between_two_questions_gains_nothing() {
    const TEST: &str = "a_name_that_changes_its_address_between_two_questions_gains_nothing";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        let all = all_turning();
        assert!(all.iter().map(|turning| turning.tries).sum::<usize>() >= 1_000);
        let known: Vec<_> = all.iter().map(|turning| turning.name).collect();
        names.at("origin.example", &[PUBLIC_AT]);
        names.at("inside.example", &["127.0.0.1"]);
        names.on("cdn.example", |_, _| vec![Record::Alias("origin.example".into())]);
        names.on("cdn-two.example", |_, _| vec![Record::Alias("chain.example".into())]);
        names.on("chain.example", |_, _| vec![Record::Alias("inside.example".into())]);
        let range = Range::new(canary, names, &[], &known, |at, _| welcome(at));
        let public: IpAddr = PUBLIC_AT.parse().unwrap();
        for Turning { name, answer, tries, good } in all {
            range.names.on(name, answer);
            let mut passed = 0;
            for nth in 0..tries {
                let ended = match nth {
                    0 => range.attempt(name, &format!("https://{name}")),
                    _ => range.test(name),
                };
                let taken: Vec<_> = range.canary.taken().iter().map(|at| at.ip().to_canonical()).collect();
                match ended {
                    Ended::Passed => {
                        passed += 1;
                        assert_eq!(taken, [public], "{name}, try {nth}");
                    }
                    Ended::Denied { rule, words } => {
                        assert_eq!(
                            (rule.as_str(), taken.len()),
                            ("address", 0),
                            "{name}, try {nth}: {words}: {taken:?}"
                        );
                    }
                    other => panic!("{name}, try {nth}: {other:?}"),
                }
            }
            assert_eq!(passed, good, "{name}");
            // Nobody looks twice: what was judged is what is dialled.
            assert_eq!(range.names.asked(name, Kind::A), tries, "{name}");
        }
    });
}
