//! Connections: which need somebody, how to get started, and all of them.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use http::StatusCode;
use turnbuckle::{ConnectionFilter, ConnectionOrder, ConnectionView, ConnectorFilter, Permission, Status};

use super::answer::{Failed, page, to};
use super::form::asked;
use super::frame::{Area, Frame, May};
use super::gate::Posted;
use super::words::{self, Logo, Mark, Moment, Need};
use super::{Console, Entered};

/// How many connections that need somebody are named.
const NAMED: usize = 5;
/// How many are counted before it says "and more".
const COUNTED: usize = 200;
/// Tests that one form may ask for: as many as a page shows.
const TESTED: usize = 50;
/// Tests that run at once when many are asked for.
const AT_ONCE: usize = 8;

pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) logo: Logo,
    pub(crate) connector: String,
    pub(crate) status: Mark,
    pub(crate) account: String,
    pub(crate) flows: u64,
    pub(crate) tested: Option<Moment>,
    pub(crate) owner: String,
}

pub(crate) struct Attention {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) status: Mark,
    pub(crate) need: Need,
}

pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) publisher: String,
    pub(crate) summary: String,
    pub(crate) logo: Logo,
}

struct Chip {
    label: String,
    path: String,
    mark: Option<Mark>,
    here: bool,
    removes: bool,
}

/// A head of a column by which the rows can be put in order.
struct Column {
    label: &'static str,
    path: String,
    /// As `aria-sort` says it, where the rows stand in its order.
    sorted: Option<&'static str>,
    /// What a click does.
    words: &'static str,
}

#[derive(Template)]
#[template(path = "integrations.html")]
struct Integrations {
    frame: Frame,
    attention: Vec<Attention>,
    waiting: String,
    cards: Vec<Card>,
    rows: Vec<Row>,
    chips: Vec<Chip>,
    text: String,
    hidden: Vec<(&'static str, String)>,
    filtered: bool,
    columns: [Column; 2],
    /// The address of this list, without its first part.
    back: String,
    next: Option<String>,
    first: Option<String>,
    may: May,
}

const STATUSES: [Status; 5] =
    [Status::NeedsReconnect, Status::Degraded, Status::Inactive, Status::Active, Status::Disabled];

type Asked = Vec<(String, String)>;

pub(crate) async fn list(
    State(console): State<Console>,
    entered: Entered,
    Query(query): Query<Asked>,
) -> Result<Response, Failed> {
    let (host, actor) = (&console.host, &entered.actor);
    let of = |name: &str| asked(&query, name).filter(|value| !value.is_empty()).map(str::to_owned);
    let status = of("status").and_then(|word| STATUSES.into_iter().find(|status| status.name() == word));
    let filter = ConnectionFilter {
        connector: of("connector"),
        status,
        owner: of("owner"),
        text: of("text"),
        sort: of("sort").and_then(|word| ConnectionOrder::ALL.into_iter().find(|order| order.name() == word)),
        cursor: of("cursor"),
        limit: None,
    };
    let found = host.connections(actor, &filter)?;
    let filtered = filter.connector.is_some() || status.is_some() || filter.owner.is_some() || filter.text.is_some();
    let (attention, waiting) = attention(&console, &entered, NAMED)?;
    let may = May::of(&entered);
    let connectors = host.connectors(actor, &ConnectorFilter::default())?;
    let offered = || connectors.iter().filter(|view| view.installed.enabled);
    let mut cards: Vec<_> = offered().filter(|view| view.installed.featured).map(card).collect();
    if cards.is_empty() {
        cards = offered().take(3).map(card).collect();
    }
    let mut known = BTreeMap::new();
    let rows = found.items.into_iter().map(|view| row(&console, &entered, view, &mut known)).collect();
    let hidden = ["status", "connector", "owner", "sort"].map(|name| (name, of(name)));
    let here = path(&filter, &[("cursor", filter.cursor.as_deref())]);
    Ok(page(
        StatusCode::OK,
        &Integrations {
            frame: Frame::new(&entered, Area::Integrations, Area::Integrations.name()),
            attention,
            waiting,
            cards: if may.manage { cards } else { Vec::new() },
            rows,
            chips: chips(&filter),
            text: filter.text.clone().unwrap_or_default(),
            hidden: hidden.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            filtered,
            columns: columns(&filter),
            back: here.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
            next: found.next.map(|next| path(&filter, &[("cursor", Some(&next))])),
            first: filter.cursor.as_ref().map(|_| path(&filter, &[("cursor", None)])),
            may,
        },
    ))
}

/// The same list, with these parts of its address set anew or taken away.
fn path(filter: &ConnectionFilter, changes: &[(&str, Option<&str>)]) -> String {
    let status = filter.status.map(Status::name);
    let now = [
        ("status", status),
        ("connector", filter.connector.as_deref()),
        ("owner", filter.owner.as_deref()),
        ("text", filter.text.as_deref()),
        ("sort", filter.sort.map(ConnectionOrder::name)),
        ("cursor", None),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in now {
        let changed = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
        if let Some(value) = changed.unwrap_or(value) {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { Area::Integrations.path().to_owned() } else { format!("/integrations?{query}") }
}

fn columns(filter: &ConnectionFilter) -> [Column; 2] {
    let order = filter.sort.unwrap_or_default();
    let by = |order: ConnectionOrder| path(filter, &[("sort", Some(order.name()))]);
    let name = match order {
        ConnectionOrder::Name => Column {
            label: "Name",
            path: by(ConnectionOrder::NameDescending),
            sorted: Some("ascending"),
            words: "from the end",
        },
        ConnectionOrder::NameDescending => Column {
            label: "Name",
            path: by(ConnectionOrder::Name),
            sorted: Some("descending"),
            words: "from the beginning",
        },
        ConnectionOrder::Need => {
            Column { label: "Name", path: by(ConnectionOrder::Name), sorted: None, words: "from the beginning" }
        }
    };
    let need = match order {
        ConnectionOrder::Need => Column {
            label: "Status",
            path: by(ConnectionOrder::Name),
            sorted: Some("descending"),
            words: "by name again",
        },
        ConnectionOrder::Name | ConnectionOrder::NameDescending => {
            let words = "those that need somebody first";
            Column { label: "Status", path: by(ConnectionOrder::Need), sorted: None, words }
        }
    };
    [name, need]
}

fn chips(filter: &ConnectionFilter) -> Vec<Chip> {
    let mut chips = vec![Chip {
        label: "All".into(),
        path: path(filter, &[("status", None)]),
        mark: None,
        here: filter.status.is_none(),
        removes: false,
    }];
    for status in STATUSES {
        let mark = words::status(status);
        let here = filter.status == Some(status);
        let path = path(filter, &[("status", (!here).then_some(status.name()))]);
        chips.push(Chip { label: mark.word.to_owned(), path, mark: Some(mark), here, removes: here });
    }
    for (name, value) in [("connector", &filter.connector), ("owner", &filter.owner), ("text", &filter.text)] {
        if let Some(value) = value {
            let label = if name == "text" { format!("“{value}”") } else { format!("{name}: {value}") };
            chips.push(Chip { label, path: path(filter, &[(name, None)]), mark: None, here: true, removes: true });
        }
    }
    chips
}

/// The first few of those that only a person can mend, and how many they are.
pub(crate) fn attention(console: &Console, entered: &Entered, most: usize) -> Result<(Vec<Attention>, String), Failed> {
    let (mut named, mut count, mut more) = (Vec::new(), 0, false);
    for status in [Status::NeedsReconnect, Status::Inactive] {
        let filter = ConnectionFilter { status: Some(status), limit: Some(COUNTED), ..ConnectionFilter::default() };
        let found = console.host.connections(&entered.actor, &filter)?;
        count += found.items.len();
        more |= found.next.is_some();
        for view in found.items.into_iter().take(most.saturating_sub(named.len())) {
            let Some(mut need) = words::need(&view) else { continue };
            if !entered.may(Permission::ManageConnections) {
                need = Need { path: format!("/connections/{}", view.id), verb: "See why", window: false, ..need };
            }
            named.push(Attention { id: view.id.to_string(), name: view.name, status: words::status(status), need });
        }
    }
    let waiting = match count {
        0 => String::new(),
        1 => "One connection needs you".to_owned(),
        many => format!("{many}{} connections need you", if more { "+" } else { "" }),
    };
    Ok((named, waiting))
}

pub(crate) fn card(view: &turnbuckle::ConnectorView) -> Card {
    let descriptor = &view.installed.descriptor;
    Card {
        name: view.installed.reference.name.to_string(),
        label: descriptor.label.clone(),
        publisher: descriptor.publisher.clone(),
        summary: descriptor.summary.clone(),
        logo: words::logo(&view.installed),
    }
}

/// How the connector of a row is shown; many rows share one.
type Known = BTreeMap<String, (Logo, String)>;

fn row(console: &Console, entered: &Entered, view: ConnectionView, known: &mut Known) -> Row {
    let key = format!("{}@{}", view.connector.name, view.connector.version);
    let shown = known.entry(key).or_insert_with_key(|key| match console.host.connector(&entered.actor, key) {
        Ok(connector) => (words::logo(&connector.installed), connector.installed.descriptor.label),
        // What it is shows its name, too.
        Err(_gone_meanwhile) => {
            let name = view.connector.name.to_string();
            (Logo { icon: None, letter: words::letter(&name), size: "" }, name)
        }
    });
    let (logo, connector) = shown.clone();
    let now = console.host.now();
    Row {
        id: view.id.to_string(),
        name: view.name,
        logo,
        connector,
        status: words::status(view.status),
        account: view.account.map(|account| account.label).unwrap_or_default(),
        flows: view.flows,
        tested: view.verdict.map(|verdict| words::moment(verdict.at, now)),
        owner: view.owner,
    }
}

/// Tests the connections that were ticked.
pub(crate) async fn test(State(console): State<Console>, entered: Entered, posted: Posted) -> Result<Response, Failed> {
    let ids: BTreeSet<String> = posted.all("id").map(str::to_owned).collect();
    // Back to the very list that they were ticked in.
    let back = match posted.get("back") {
        "" => Area::Integrations.path().to_owned(),
        query => format!("{}?{query}", Area::Integrations.path()),
    };
    if ids.is_empty() {
        entered.tell("warn", "Nothing was tested", "Tick the connections that are meant, then test them.");
        return Ok(to(&back));
    }
    if ids.len() > TESTED {
        let many = ids.len();
        return Err(Failed::form(&format!("{many} connections are ticked; at most {TESTED} are tested at a time.")));
    }
    let tests = ids.into_iter().map(|id| {
        let (host, actor) = (console.host.clone(), entered.actor.clone());
        async move { host.test_connection(&actor, &id).await }
    });
    let ended: Vec<_> = futures_util::stream::iter(tests).buffer_unordered(AT_ONCE).collect().await;
    let passed = ended.iter().flatten().filter(|view| view.status == Status::Active).count();
    let (all, failed) = (ended.len(), ended.len() - passed);
    let words = match failed {
        0 => String::new(),
        1 => "One did not pass, or may not be tested: its row says how it stands.".to_owned(),
        several => format!("{several} did not pass, or may not be tested: their rows say how they stand."),
    };
    entered.tell(if failed == 0 { "good" } else { "warn" }, format!("{passed} of {all} tests passed"), words);
    Ok(to(&back))
}
