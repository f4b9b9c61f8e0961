//! Real services that nobody here wrote.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use turnbuckle_tests::leaks;
use turnbuckle_tests::peer::{Peer, program};
use turnbuckle_tests::world::World;

use crate::scene::{BINARY, install, left_out, peers, world};

const PATIENCE: Duration = Duration::from_secs(120);
const PASSWORD: &str = "correct-horse-battery-staple-81";

/// A container registry that takes `ada` with [`PASSWORD`], and its origin.
fn registry(world: &World) -> Option<(Peer, String)> {
    let (serve, htpasswd) = (program("docker-registry")?, program("htpasswd")?);
    let known = Command::new(htpasswd).args(["-Bbn", "ada", PASSWORD]).output().unwrap();
    let users = world.file("htpasswd", known.stdout);
    let storage = world.work().join("registry");
    let configuration = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n\
         auth:\n  htpasswd:\n    realm: tests\n    path: {}\n",
        storage.display(),
        users.display()
    );
    let configuration = world.file("registry.yml", configuration);
    let peer = Peer::start(Command::new(serve).arg("serve").arg(configuration), "listening on ", PATIENCE);
    let address = peer.ready.split("listening on ").nth(1)?.split('"').next()?.to_owned();
    Some((peer, format!("http://{address}")))
}

#[test]
fn a_container_registry_behind_a_password_is_connected_tested_and_listed() {
    let world = world();
    let Some((_registry, origin)) = registry(&world) else {
        return left_out("container registry", "docker-registry and htpasswd (Debian: docker-registry, apache2-utils)");
    };
    let password = world.file("password", format!("{PASSWORD}\n"));
    let wrong = world.file("wrong", "not-the-password");
    let component = turnbuckle_tests::components::path(BINARY, "oci-registry");
    world.run(&["connector", "install", component.to_str().unwrap()]).done();
    let create = |name: &str, secret: &std::path::Path| {
        let url = format!("url={origin}");
        let secret = format!("password=@{}", secret.display());
        let mut command = world.command(&["--output", "json", "connection", "create", "--connector", "oci-registry"]);
        command.args(["--name", name, "--set", &url, "--set", "username=ada", "--secret", &secret]);
        turnbuckle_tests::world::Ran::of(&mut command, "")
    };

    // Not opened by the operator: refused, with the rule and the setting.
    let refused = create("Closed", &password).ended(3);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("[egress]") && said.contains(&origin), "{said}");

    world.allow(&[&origin]);
    let made = create("Registry", &password).done().json();
    assert_eq!(made["status"], "active", "{made:#}");
    let failed = create("Wrong", &wrong).ended(3).json();
    assert_eq!(failed["status"], "needs-reconnect", "{failed:#}");
    world.run(&["connection", "test", "Wrong"]).ended(3);
    world.run(&["connection", "test", "Registry"]).done();

    let listed = world.run(&["connection", "send", "Registry", "/v2/_catalog"]).done();
    assert_eq!(serde_json::from_str::<Value>(&listed.out).unwrap(), json!({"repositories": []}));
    assert_eq!(leaks::in_folder(&world.data(), PASSWORD), Vec::<String>::new());
}

/// Where `npm install --prefix` put the mock and the description.
fn mock() -> Option<(PathBuf, PathBuf, PathBuf)> {
    let modules = peers().join("node_modules");
    let prism = modules.join("@stoplight/prism-cli/dist/index.js");
    let description = modules.join("@octokit/openapi/generated/api.github.com.json");
    (prism.is_file() && description.is_file()).then_some((program("node")?, prism, description))
}

#[test]
fn githubs_own_description_of_its_api_accepts_what_the_connector_sends() {
    let world = world();
    let Some((node, prism, description)) = mock() else {
        return left_out(
            "GitHub's API description",
            "node with @stoplight/prism-cli and @octokit/openapi in ~/.cache/turnbuckle-peers",
        );
    };
    // A server of one's own has the same API below `/api/v3`; the mock takes that from the paths alone.
    let mut api: Value = serde_json::from_slice(&fs::read(description).unwrap()).unwrap();
    let paths = std::mem::take(api["paths"].as_object_mut().unwrap());
    let below = paths.into_iter().map(|(path, what)| (format!("/api/v3{path}"), what));
    api["paths"] = Value::Object(below.collect());
    let description = world.file("github.json", api.to_string());

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(node);
    command.arg(prism).args(["mock", "--errors", "-h", "127.0.0.1", "-p", &port.to_string()]).arg(description);
    let _mock = Peer::start(&mut command, "is listening on", PATIENCE);
    let origin = format!("http://127.0.0.1:{port}");
    world.allow(&[&origin]);
    let server = world.serve();
    let api = server.api();
    install(&api, "github");
    let made = api.post(
        "/connections",
        &json!({
            "name": "Code", "connector": "github", "protocol": "token",
            "settings": {"url": origin}, "secrets": {"token": "ghp_0123456789abcdefghij"},
        }),
    );
    let made = made.ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    assert_eq!(made["account"]["label"], "octocat", "GitHub's own example");
    let repositories = api.get("/connections/Code/send?url=/api/v3/user/repos").ended(200).json();
    assert!(repositories[0]["full_name"].is_string(), "{repositories}");
}
