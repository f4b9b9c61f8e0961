//! Principals: who signs in.

use jiff::Timestamp;
use turnbuckle::{Error, Expected, PrincipalKind, PrincipalView, PutPrincipal, WhatIf};

use super::externals::home;
use super::named::{fields_of, kind, kinds};
use super::put::{Kind, NEW, Saved, Sheet, below, label, name_field};
use crate::console::answer::{Failed, segment, sentence};
use crate::console::form::{self, Field, Form, SETTING};
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

pub(super) struct Principals;

impl Kind for Principals {
    type View = PrincipalView;
    const NOUN: &'static str = "principal";
    const LEANT_ON: bool = true;

    fn path(name: &str) -> String {
        below("principals", name)
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<PrincipalView, Error> {
        console.host.principal(&entered.actor, name)
    }

    fn change(view: &PrincipalView) -> (u64, &str, Timestamp) {
        (view.version, &view.owner, view.updated_at)
    }

    fn stored(view: &PrincipalView) -> Posted {
        let settings = view.settings.iter().map(|(name, value)| (format!("{SETTING}{name}"), value.clone()));
        Posted::of([("label".to_owned(), view.label.clone())].into_iter().chain(settings))
    }

    fn sheet(
        console: &Console,
        entered: &Entered,
        view: Option<&PrincipalView>,
        typed: &Posted,
    ) -> Result<Sheet, Failed> {
        let mut fields =
            name_field(view.is_none(), typed, "Kebab-case; by convention that of its external credential.");
        fields.push(Field::own("label", "Label", "text", typed.get("label")));
        let on = view.map_or(typed.get("external-credential"), |view| &view.external_credential);
        let external = console.host.external_credential(&entered.actor, on)?;
        let mut sheet = Sheet { back: home(&external), ..Sheet::default() };
        let shared = view.map_or_else(|| kind(typed), |view| view.kind) == PrincipalKind::Named;
        sheet.words = match shared {
            true => format!("Everybody who may use it signs in to {} as this one.", external.name),
            false => {
                format!("Each user signs in to {} with an own one: what that takes, each gives alone.", external.name)
            }
        };
        if shared {
            let stored = view.map(|view| view.secrets.clone()).unwrap_or_default();
            fields.extend(fields_of(&external.parameters, typed, &stored));
        }
        if view.is_none() {
            let path = format!("{}?external-credential={}", Self::path(NEW), segment(&external.name));
            sheet.chips = kinds(typed, &path);
            sheet.hidden = vec![("external-credential", external.name), ("kind", kind(typed).name().to_owned())];
        }
        sheet.form = Form::new(fields);
        Ok(sheet)
    }

    fn what_if(
        _console: &Console,
        _entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        let put = given(key, posted, expected);
        Ok(Some(WhatIf::PutPrincipal { name: key.to_owned(), put }))
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = given(key, posted, expected);
        let view = console.host.put_principal(&entered.actor, key, put).await?;
        let external = console.host.external_credential(&entered.actor, &view.external_credential)?;
        let mut saved = Saved::new(format!("The principal {} is saved", view.name), home(&external));
        if let (PrincipalKind::Named, Some(problem)) = (view.kind, &view.problem) {
            saved.words = sentence(problem);
        }
        Ok(saved)
    }
}

/// What was typed.
fn given(key: &str, posted: &Posted, expected: Expected) -> PutPrincipal {
    let new = expected == Expected::Absent;
    PutPrincipal {
        label: label(posted, key),
        external_credential: Some(posted.get("external-credential").to_owned()).filter(|_| new),
        kind: Some(kind(posted)).filter(|_| new),
        settings: form::settings(posted),
        secrets: form::secrets(posted),
        expected,
    }
}
