//! Amazon's services as PyPI's `moto` plays them, with signatures verified, on loopback while a test lasts.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::api::Api;
use crate::peer::Peer;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Moto {
    origin: String,
    _peer: Peer,
}

/// A user's access key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its public half.
    pub id: String,
    /// Its secret half.
    pub secret: String,
}

impl Moto {
    /// Starts one with a user who may do these actions of S3; every request after that is judged by its signature. None where
    /// this machine has no such program in this folder of peers.
    pub fn start(peers: &Path, actions: &str) -> Option<(Self, Key)> {
        let program = peers.join("moto/bin/moto_server");
        if !program.is_file() {
            return None;
        }
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        // As many calls as it takes to make the user.
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", "3");
        let peer = Peer::start(&mut command, "Running on ", PATIENCE);
        let origin = peer.ready.split("Running on ").nth(1).expect("it says where").trim().to_owned();
        let iam = Api::of_peer(&origin);
        let call = |form: &str| {
            let to = "AWS4-HMAC-SHA256 Credential=setup/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, \
                      Signature=0";
            let headers = [("authorization", to), ("content-type", "application/x-www-form-urlencoded")];
            let body = Bytes::from(format!("Version=2010-05-08&UserName=ada&{form}"));
            iam.raw(Method::POST, "/", &headers, body).ended(200).text()
        };
        call("Action=CreateUser");
        let policy = format!(
            "%7B%22Version%22:%222012-10-17%22,%22Statement%22:%5B%7B%22Effect%22:%22Allow%22,\
             %22Action%22:%22{actions}%22,%22Resource%22:%22*%22%7D%5D%7D"
        );
        call(&format!("Action=PutUserPolicy&PolicyName=work&PolicyDocument={policy}"));
        let made = call("Action=CreateAccessKey");
        let of = |name: &str| {
            let inside = made.split(&format!("<{name}>")).nth(1).and_then(|rest| rest.split('<').next());
            inside.unwrap_or_else(|| panic!("no {name} in {made}")).to_owned()
        };
        let key = Key { id: of("AccessKeyId"), secret: of("SecretAccessKey") };
        Some((Self { origin, _peer: peer }, key))
    }

    /// Its origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}
