//! Webhooks: the form. Their pages are in `webhook`.

use jiff::Timestamp;
use turnbuckle::{Error, EventType, Expected, PutWebhook, WebhookView};

use super::put::{Kind, Once, Saved, Sheet, Tick, Ticks, below, name_field};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::frame::Area;
use crate::console::gate::Posted;
use crate::console::{Console, Entered, words};

pub(super) struct Webhooks;

/// The page of one.
pub(super) fn home(name: &str) -> String {
    below("webhooks", name)
}

impl Kind for Webhooks {
    type View = WebhookView;
    const NOUN: &'static str = "webhook";

    fn path(name: &str) -> String {
        format!("{}/edit", home(name))
    }

    fn removal(_name: &str) -> Option<String> {
        None
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<WebhookView, Error> {
        console.host.webhook(&entered.actor, name)
    }

    fn change(view: &WebhookView) -> (u64, &str, Timestamp) {
        (view.version, &view.owner, view.updated_at)
    }

    fn stored(view: &WebhookView) -> Posted {
        let types = view.types.iter().map(|one| ("type", one.name()));
        Posted::of([("url", view.url.as_str())].into_iter().chain(types))
    }

    fn sheet(
        _console: &Console,
        entered: &Entered,
        view: Option<&WebhookView>,
        typed: &Posted,
    ) -> Result<Sheet, Failed> {
        let mut fields = name_field(view.is_none(), typed, "Kebab-case, as in `on-call`.");
        let url = Field::own("url", "Address", "url", typed.get("url")).required();
        let help = "Events are posted there, signed as the Standard Webhooks specification says.";
        fields.push(url.help(help).placeholder("https://hooks.example.com/turnbuckle"));
        let ticks = EventType::ALL.iter().map(|one| {
            let on = typed.all("type").any(|name| name == one.name());
            Tick::new("type", one.name(), words::event(*one), on)
        });
        let help = "Where none is ticked it gets all of them, and those that a newer host tells besides.";
        let groups = vec![Ticks { id: "types", label: "Which events", help, ticks: ticks.collect() }];
        let other = view.filter(|view| view.owner != entered.actor.name());
        let words = match other {
            Some(view) => format!("It gets what {} may see. Once you save it, it gets what you may see.", view.owner),
            None => "It gets what you may see.".to_owned(),
        };
        let back = view.map_or_else(|| Area::Setup.path().into(), |view| home(&view.name));
        Ok(Sheet { form: Form::new(fields), groups, words, back, ..Sheet::default() })
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = PutWebhook {
            url: Some(posted.get("url").to_owned()),
            types: Some(posted.all("type").map(str::to_owned).collect()),
            enabled: None,
            expected,
        };
        let saved = console.host.put_webhook(&entered.actor, key, put).await?;
        let name = saved.view.name;
        let mut done = Saved::new(format!("The webhook {name} is saved"), home(&name));
        done.secret = saved.secret.map(|secret| secret_of(&name, secret));
        Ok(done)
    }
}

/// A webhook's secret, told once.
pub(super) fn secret_of(name: &str, secret: turnbuckle::Secret) -> Once {
    Once { headline: format!("Secret of the webhook {name}"), label: "Secret", secret }
}
