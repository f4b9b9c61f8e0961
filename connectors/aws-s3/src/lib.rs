//! Amazon S3, and stores that speak its API.

mod regions;

use turnbuckle_sdk::http::{self, Request, Response};
use turnbuckle_sdk::{
    Authentication, Classifier, Connection, Connector, Descriptor, Failure, Field, Protocol, Report, Sigv4,
};

/// The connector.
#[derive(Debug)]
pub struct AwsS3;

impl Connector for AwsS3 {
    fn describe() -> Descriptor {
        Descriptor::new("aws-s3", env!("CARGO_PKG_VERSION"), "Amazon S3")
            .publisher("Turnbuckle")
            .summary("Buckets and objects, in Amazon S3 and in stores that speak its API")
            .category("Storage")
            .documentation("https://docs.aws.amazon.com/AmazonS3/latest/API/")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::choice("region", "Region", regions::REGIONS.iter().copied()).required().default("us-east-1"),
            )
            .setting(
                Field::text("bucket", "Bucket")
                    .pattern("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
                    .placeholder("acme-invoices")
                    .help("For a key that may not list buckets. Not one with dots in its name."),
            )
            .setting(
                Field::url("endpoint", "Endpoint")
                    .placeholder("https://minio.example.com")
                    .help("Only for a store other than Amazon's."),
            )
            .setting(
                Field::text("endpoint-region", "Region at the endpoint")
                    .pattern("[A-Za-z0-9-]+")
                    .placeholder("auto")
                    .help("Only where that store has names of its own for its regions."),
            )
            .protocol(
                Protocol::new("access-key", "Access key")
                    .help("Of an IAM user, or temporary credentials of a role.")
                    .field(
                        Field::text("access-key-id", "Access key ID")
                            .required()
                            .pattern(r"[^\s/,=]+")
                            .placeholder("AKIAIOSFODNN7EXAMPLE"),
                    )
                    .field(Field::secret("secret-access-key", "Secret access key").required())
                    .field(Field::secret("session-token", "Session token").help("Of temporary credentials.")),
            )
            // A store of one's own comes first: a path is meant there.
            .origin("{endpoint}")
            .origin("https://s3.{region}.amazonaws.com")
            .origin("https://{bucket}.s3.{region}.amazonaws.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        let region = match (connection.get("endpoint"), connection.get("endpoint-region")) {
            (Some(_), Some(_)) => "{endpoint-region}",
            (None, Some(_)) => return Err(Failure::field("endpoint-region", "it goes with an endpoint only")),
            (_, None) => "{region}",
        };
        let signature = Sigv4::new(region, "s3", "{access-key-id}", "{secret-access-key}");
        // Left out where there is none.
        Ok(Authentication::new().place(signature.session_token("{session-token}")))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let bucket = connection.get("bucket");
        let answer = request(connection).send()?;
        if !answer.is_success() {
            return Err(failure(connection, &answer));
        }
        let text = answer.text();
        if let Some(bucket) = bucket {
            let listed = element(&text, "ListBucketResult").ok_or_else(|| no_store(connection))?;
            let name = element(listed, "Name").unwrap_or(bucket);
            return Ok(Report::new(format!("Reached the bucket {name}")));
        }
        let listed = element(&text, "ListAllMyBucketsResult").ok_or_else(|| no_store(connection))?;
        let owner = element(listed, "Owner").unwrap_or_default();
        let report = Report::new("Signed in, and may list buckets");
        Ok(match element(owner, "ID").filter(|id| !id.is_empty()) {
            Some(id) => report.account(id, element(owner, "DisplayName").filter(|name| !name.is_empty()).unwrap_or(id)),
            None => report,
        })
    }
}

impl Classifier for AwsS3 {
    fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
        if response.is_success() { None } else { refusal(response) }
    }
}

/// A bucket is listed where there is one: many a key may not list buckets.
fn request(connection: &Connection) -> Request {
    let region = connection.setting("region");
    let endpoint = connection.get("endpoint").map(|endpoint| endpoint.trim_end_matches('/'));
    let list = |url: String| http::get(url).query("list-type", "2").query("max-keys", "1");
    // An account with many buckets has to ask for one page at a time.
    let buckets = |url: String| http::get(url).query("max-buckets", "1");
    match (endpoint, connection.get("bucket")) {
        (None, None) => buckets(format!("https://s3.{region}.amazonaws.com/")),
        (None, Some(bucket)) => list(format!("https://{bucket}.s3.{region}.amazonaws.com/")),
        (Some(endpoint), None) => buckets(format!("{endpoint}/")),
        (Some(endpoint), Some(bucket)) => list(format!("{endpoint}/{bucket}")),
    }
}

fn failure(connection: &Connection, answer: &Response) -> Failure {
    let text = answer.text();
    let code = element(&text, "Code");
    match (answer.status, code) {
        (_, Some("NoSuchBucket" | "InvalidBucketName")) => Failure::field("bucket", message(answer)),
        (_, Some("AccessDenied")) if connection.get("bucket").is_none() => {
            Failure::forbidden(format!("{} (the key may not list buckets: name one it may use)", message(answer)))
        }
        (300..=399 | 404 | 405, None) => no_store(connection),
        _ => refusal(answer).unwrap_or_else(|| answer.failure(words(&text).as_deref())),
    }
}

/// What the status does not tell: almost everything is 400 or 403 to S3.
fn refusal(answer: &Response) -> Option<Failure> {
    let text = answer.text();
    let message = message(answer);
    match element(&text, "Code")? {
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidSecurity" => Some(Failure::unauthorized(message)),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" => Some(Failure::forbidden(message)),
        "RequestTimeTooSkewed" => {
            Some(Failure::misconfigured(format!("{message} (the clock of this host is wrong: set it)")))
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            let region = answer.header("x-amz-bucket-region").or_else(|| element(&text, "Region"));
            let hint = region.map(|region| format!(" (the bucket lies in {region})")).unwrap_or_default();
            Some(Failure::field("region", format!("{message}{hint}")))
        }
        "SlowDown" | "RequestLimitExceeded" | "Throttling" => {
            Some(Failure::rate_limited(answer.retry_after(), message))
        }
        _ => None,
    }
}

fn message(answer: &Response) -> String {
    answer.failure(words(&answer.text()).as_deref()).message
}

/// Code and message: neither says enough alone.
fn words(text: &str) -> Option<String> {
    let code = element(text, "Code")?;
    Some(match element(text, "Message").filter(|message| !message.is_empty()) {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    })
}

/// What stands in the first element of this name. Enough for what S3 answers, whose names never nest in themselves.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, from) = text.split_once(&format!("<{name}")).filter(|(_, from)| from.starts_with(['>', ' ']))?;
    let (_, inside) = from.split_once('>')?;
    inside.split_once(&format!("</{name}>")).map(|(inside, _)| inside.trim())
}

fn no_store(connection: &Connection) -> Failure {
    let words = "there is no store at this address that speaks the S3 API";
    match connection.get("endpoint") {
        Some(_) => Failure::field("endpoint", words),
        None => Failure::other(words),
    }
}

turnbuckle_sdk::export!(AwsS3, classifier);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    const FRANKFURT: (&str, &str) = ("region", "eu-central-1");
    const BUCKET: (&str, &str) = ("bucket", "acme-invoices");
    const MINIO: (&str, &str) = ("endpoint", "http://127.0.0.1:9000");
    const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";

    fn plan(settings: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
        AwsS3::authenticate(&connection("access-key", settings)).map(|plan| authentication(&plan))
    }

    fn test(settings: &[(&str, &str)], url: &str, answer: Response) -> Result<Report, Failure> {
        let script = Script::new().expect(http::get(url)).answer(answer);
        script.run(|| AwsS3::test(&connection("access-key", settings))).0
    }

    fn answered(answer: Response) -> Result<Report, Failure> {
        test(&[FRANKFURT], "https://s3.eu-central-1.amazonaws.com/?max-buckets=1", answer)
    }

    fn of_bucket(answer: Response) -> Result<Report, Failure> {
        let url = "https://acme-invoices.s3.eu-central-1.amazonaws.com/?list-type=2&max-keys=1";
        test(&[FRANKFURT, BUCKET], url, answer)
    }

    /// As S3 writes its errors.
    fn error(status: u16, code: &str, message: &str, more: &str) -> Response {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
        let body = format!(
            "{xml}\n<Error><Code>{code}</Code><Message>{message}</Message>{more}\
             <RequestId>4442587FB7D0A2F9</RequestId><HostId>vxtxLwaO</HostId></Error>"
        );
        testing::text(status, &body).with("content-type", "application/xml")
    }

    fn buckets(owner: &str) -> Response {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{owner}\
             <Buckets><Bucket><Name>acme-invoices</Name></Bucket></Buckets></ListAllMyBucketsResult>"
        );
        testing::text(200, &body)
    }

    #[test]
    fn requests_are_signed_for_the_region() {
        let line = "aws-sigv4 s3 in {region} key {access-key-id}:{secret-access-key} session {session-token}";
        assert_eq!(plan(&[FRANKFURT]), Ok(vec![line.to_owned()]));
        assert_eq!(plan(&[FRANKFURT, MINIO]), Ok(vec![line.to_owned()]));
        let auto = ("endpoint-region", "auto");
        let line = "aws-sigv4 s3 in {endpoint-region} key {access-key-id}:{secret-access-key} session {session-token}";
        assert_eq!(plan(&[FRANKFURT, MINIO, auto]), Ok(vec![line.to_owned()]));
        let failure = Failure::field("endpoint-region", "it goes with an endpoint only");
        assert_eq!(plan(&[FRANKFURT, auto]), Err(failure));
    }

    #[test]
    fn the_account_is_the_owner_of_the_buckets() {
        let report = |label: &str| Report::new("Signed in, and may list buckets").account(OWNER, label);
        let owner = format!("<Owner><ID>{OWNER}</ID><DisplayName>ada</DisplayName></Owner>");
        assert_eq!(answered(buckets(&owner)), Ok(report("ada")));
        // Amazon's own answers no longer hold a name.
        assert_eq!(answered(buckets(&format!("<Owner><ID>{OWNER}</ID></Owner>"))), Ok(report(OWNER)));
        assert_eq!(answered(buckets("")), Ok(Report::new("Signed in, and may list buckets")));
    }

    #[test]
    fn a_bucket_is_reached_by_its_own_name() {
        let body = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>acme-invoices</Name>\
            <Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1</MaxKeys></ListBucketResult>";
        let report = Ok(Report::new("Reached the bucket acme-invoices"));
        assert_eq!(of_bucket(testing::text(200, body)), report);
        let url = "http://127.0.0.1:9000/acme-invoices?list-type=2&max-keys=1";
        assert_eq!(test(&[FRANKFURT, BUCKET, MINIO], url, testing::text(200, body)), report);
    }

    #[test]
    fn another_store_is_asked_at_its_endpoint() {
        let owner = "<Owner><ID>02d6176d</ID><DisplayName>minio</DisplayName></Owner>";
        let report = Report::new("Signed in, and may list buckets").account("02d6176d", "minio");
        let url = "http://127.0.0.1:9000/?max-buckets=1";
        assert_eq!(test(&[FRANKFURT, MINIO], url, buckets(owner)), Ok(report));
        let none = Err(Failure::field("endpoint", "there is no store at this address that speaks the S3 API"));
        assert_eq!(test(&[FRANKFURT, MINIO], url, testing::text(200, "<html>")), none);
        assert_eq!(test(&[FRANKFURT, MINIO], url, testing::text(404, "not found")), none);
        assert_eq!(test(&[FRANKFURT, MINIO], url, testing::text(302, "")), none);
    }

    #[test]
    fn a_credential_that_is_no_good_is_told_by_its_code() {
        for (status, code) in [
            (403, "InvalidAccessKeyId"),
            (403, "SignatureDoesNotMatch"),
            (400, "ExpiredToken"),
            (400, "InvalidToken"),
            (400, "TokenRefreshRequired"),
        ] {
            let failure = Failure::unauthorized(format!("the service answered {status}: {code}: words"));
            assert_eq!(answered(error(status, code, "words", "")), Err(failure.clone()));
            let classified = AwsS3::classify(&connection("access-key", &[]), &error(status, code, "words", ""));
            assert_eq!(classified, Some(failure));
        }
    }

    #[test]
    fn a_key_that_may_not_is_told_what_would_help() {
        let denied = || error(403, "AccessDenied", "Access Denied", "");
        let words = "the service answered 403: AccessDenied: Access Denied";
        assert_eq!(of_bucket(denied()), Err(Failure::forbidden(words)));
        let hint = format!("{words} (the key may not list buckets: name one it may use)");
        assert_eq!(answered(denied()), Err(Failure::forbidden(hint)));
        let disabled = error(403, "AllAccessDisabled", "All access has been disabled.", "");
        let words = "the service answered 403: AllAccessDisabled: All access has been disabled.";
        assert_eq!(of_bucket(disabled), Err(Failure::forbidden(words)));
    }

    #[test]
    fn what_is_set_wrongly_is_named() {
        let malformed = error(
            400,
            "AuthorizationHeaderMalformed",
            "The region 'eu-central-1' is wrong; expecting 'eu-west-1'",
            "<Region>eu-west-1</Region>",
        );
        let words = "the service answered 400: AuthorizationHeaderMalformed: The region 'eu-central-1' is wrong; \
            expecting 'eu-west-1' (the bucket lies in eu-west-1)";
        assert_eq!(of_bucket(malformed), Err(Failure::field("region", words)));
        let redirect =
            error(301, "PermanentRedirect", "Use the endpoint.", "").with("x-amz-bucket-region", "us-west-2");
        let words = "the service answered 301: PermanentRedirect: Use the endpoint. (the bucket lies in us-west-2)";
        assert_eq!(of_bucket(redirect), Err(Failure::field("region", words)));
        let missing = error(404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>a</BucketName>");
        let words = "the service answered 404: NoSuchBucket: The specified bucket does not exist";
        assert_eq!(of_bucket(missing), Err(Failure::field("bucket", words)));
        let skewed = error(403, "RequestTimeTooSkewed", "The difference is too large.", "");
        let words = "the service answered 403: RequestTimeTooSkewed: The difference is too large. (the clock of this \
            host is wrong: set it)";
        assert_eq!(answered(skewed), Err(Failure::misconfigured(words)));
    }

    #[test]
    fn a_busy_store_is_not_one_that_is_down() {
        let words = "the service answered 503: SlowDown: Please reduce your request rate.";
        let slow = error(503, "SlowDown", "Please reduce your request rate.", "");
        assert_eq!(answered(slow), Err(Failure::rate_limited(None, words)));
        let down = error(500, "InternalError", "We encountered an internal error.", "");
        let words = "the service answered 500: InternalError: We encountered an internal error.";
        assert_eq!(answered(down), Err(Failure::unavailable(words)));
    }

    #[test]
    fn an_object_that_is_missing_is_no_matter_of_the_connection() {
        let connection = connection("access-key", &[]);
        let missing = error(404, "NoSuchKey", "The resource you requested does not exist", "<Key>a</Key>");
        assert_eq!(AwsS3::classify(&connection, &missing), None);
        let object = testing::text(200, "<Error><Code>ExpiredToken</Code></Error>");
        assert_eq!(AwsS3::classify(&connection, &object), None);
        assert_eq!(AwsS3::classify(&connection, &testing::text(403, "")), None);
    }
}
