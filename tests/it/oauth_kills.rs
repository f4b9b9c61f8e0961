//! A power cut in the middle of a renewal: every connection goes on, or says what was lost.

use std::collections::BTreeMap;
use std::thread;

use serde_json::json;

use crate::oauth::Stage;

const ROUNDS: u64 = 200;
const CONNECTIONS: u64 = 6;
/// What a failure repeats.
const SEED: u64 = 0x7475_726e;
/// A renewal of all of them takes about so long here, from the first request on.
const WINDOW_MICROSECONDS: u64 = 12_000;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

#[test]
fn a_kill_at_any_moment_around_a_renewal_loses_no_connection_without_saying_so() {
    let Some(mut stage) = Stage::set("kills around a renewal") else { return };
    let mut chance = Chance(SEED);
    let paths: Vec<_> = (0..CONNECTIONS).map(|at| format!("/connections/Orders{at}/send?url=/whoami")).collect();
    for at in 0..CONNECTIONS {
        stage.imported(&format!("Orders{at}"));
    }
    let mut ends = BTreeMap::<String, u64>::new();
    for round in 0..ROUNDS {
        // All of them have to be renewed.
        stage.oidc.void();
        let seen = stage.oidc.count("token");
        let (url, token, asked) = (stage.server.url.clone(), stage.server.token.clone(), paths.clone());
        let sending = thread::spawn(move || turnbuckle_tests::api::Api::new(&url, Some(&token)).together(&asked));
        stage.oidc.wait_for_moment(seen + 1 + chance.below(CONNECTIONS), chance.below(WINDOW_MICROSECONDS));
        stage.server.crash(&stage.world);
        stage.api = stage.server.api();
        drop(sending.join().unwrap());
        for (at, path) in paths.iter().enumerate() {
            let name = format!("Orders{at}");
            let answer = stage.api.get(path);
            if answer.status == 200 {
                *ends.entry("works".into()).or_default() += 1;
                continue;
            }
            let view = stage.view(&name);
            assert_eq!(view["status"], "needs-reconnect", "round {round}, {name}: {view:#}");
            let kind = view["verdict"]["kind"].as_str().unwrap().to_owned();
            assert_eq!(kind, "unknown-rotation", "round {round}, {name}: nobody took anything back: {view:#}");
            assert_eq!(answer.json()["code"], kind, "round {round}, {name}: {}", answer.text());
            *ends.entry(kind).or_default() += 1;
            let tokens = stage.oidc.mint("ada");
            let again =
                json!({"tokens": {"secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}}});
            let replaced = stage.api.post(&format!("/connections/{name}/reconnect"), &again).ended(200).json();
            assert_eq!(replaced["replaced"], true, "round {round}, {name}: {replaced:#}");
        }
    }
    // What works now works because its refresh token is the right one, not because an access token happens to last.
    stage.oidc.void();
    for answer in stage.api.together(&paths) {
        answer.unwrap().ended(200);
    }
    assert_eq!(ends.values().sum::<u64>(), ROUNDS * CONNECTIONS, "{ends:?}");
    assert!(
        ends["works"] > 0 && ends.contains_key("unknown-rotation"),
        "the kills hit too early or too late: {ends:?}"
    );
}
