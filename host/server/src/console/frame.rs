//! What stands around every page.

use turnbuckle::Permission;

use super::session::Notice;
use super::{Entered, assets};

/// A page for somebody who has not signed in.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) title: String,
    pub(crate) version: &'static str,
}

impl Entry {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), version: assets::version() }
    }
}

/// A part of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    Integrations,
    Connectors,
    Setup,
    Health,
    Audit,
}

impl Area {
    const ALL: [Self; 5] = [Self::Integrations, Self::Connectors, Self::Setup, Self::Health, Self::Audit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Integrations => "Integrations",
            Self::Connectors => "Connectors",
            Self::Setup => "Setup",
            Self::Health => "Health",
            Self::Audit => "Audit",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Integrations => "/integrations",
            Self::Connectors => "/connectors",
            Self::Setup => "/setup",
            Self::Health => "/health",
            Self::Audit => "/audit",
        }
    }

    /// Its drawing, as the data of an SVG path.
    pub(crate) fn drawing(self) -> &'static str {
        match self {
            Self::Integrations => "M6.5 9.5l3-3M7 4.5l1-1a3 3 0 0 1 4.5 4.5l-1 1M9 11.5l-1 1A3 3 0 0 1 3.5 8l1-1",
            Self::Connectors => "M8 1.8l5.5 3.1v6.2L8 14.2l-5.5-3.1V4.9zM2.6 5L8 8l5.4-3M8 8v6",
            Self::Setup => "M2 4.5h5M11 4.5h3M2 11.5h3M9 11.5h5M9 2.5v4M7 9.5v4",
            Self::Health => "M1.5 8.5h3l2-5 3 9 2-4h3",
            Self::Audit => "M3.5 1.8h9v12.4h-9zM6 5h4M6 8h4M6 11h2",
        }
    }

    fn open(self, entered: &Entered) -> bool {
        entered.actor.may(match self {
            Self::Integrations | Self::Health => Permission::ViewConnections,
            Self::Connectors => Permission::ManageConnectors,
            Self::Setup => Permission::ManageSetup,
            Self::Audit => Permission::ViewAudit,
        })
    }
}

/// What of a page somebody may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct May {
    /// Test and send.
    pub(crate) test: bool,
    /// Create, edit and delete connections.
    pub(crate) manage: bool,
    /// Install connectors.
    pub(crate) install: bool,
}

impl May {
    pub(crate) fn of(entered: &Entered) -> Self {
        Self {
            test: entered.may(Permission::UseConnections),
            manage: entered.may(Permission::ManageConnections),
            install: entered.may(Permission::ManageConnectors),
        }
    }
}

/// One line of the side.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) area: Area,
    pub(crate) here: bool,
}

/// One part of the trail above a page; the last one is the page itself.
#[derive(Debug)]
pub(crate) struct Crumb {
    pub(crate) label: String,
    pub(crate) path: String,
}

/// Who sees a page, where it stands, and what is to be told.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) trail: Vec<Crumb>,
    pub(crate) ways: Vec<Way>,
    pub(crate) user: String,
    pub(crate) csrf: String,
    pub(crate) notices: Vec<Notice>,
    pub(crate) searches: bool,
    /// How often something had changed before the page was made: whoever follows is told what comes after.
    pub(crate) seen: Option<u64>,
    pub(crate) version: &'static str,
}

impl Frame {
    /// Of a page with this title.
    pub(crate) fn new(entered: &Entered, area: Area, title: &str) -> Self {
        Self { notices: entered.notices(), ..Self::untold(entered, area, title) }
    }

    /// The same; what is to be told waits for the next page.
    pub(crate) fn untold(entered: &Entered, area: Area, title: &str) -> Self {
        let ways = Area::ALL.into_iter().filter(|way| way.open(entered));
        let trail = match title == area.name() {
            true => Vec::new(),
            false => vec![Crumb { label: area.name().to_owned(), path: area.path().to_owned() }],
        };
        Self {
            title: title.to_owned(),
            trail,
            ways: ways.map(|way| Way { area: way, here: way == area }).collect(),
            user: entered.actor.name().to_owned(),
            csrf: entered.csrf.clone(),
            notices: Vec::new(),
            searches: Area::Integrations.open(entered),
            seen: Area::Integrations.open(entered).then(|| entered.seen()),
            version: assets::version(),
        }
    }

    /// Below a page that is itself below its area.
    pub(crate) fn below(mut self, label: &str, path: String) -> Self {
        self.trail.push(Crumb { label: label.to_owned(), path });
        self
    }
}

/// Where somebody begins who may see only some of it.
pub(crate) fn first(entered: &Entered) -> &'static str {
    Area::ALL.into_iter().find(|area| area.open(entered)).unwrap_or(Area::Integrations).path()
}
