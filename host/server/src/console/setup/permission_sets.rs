//! Permission sets: what their users may do, and the principals that they open.

use jiff::Timestamp;
use turnbuckle::{Error, Expected, Permission, PermissionSet, PrincipalKind, PutPermissionSet, WhatIf};

use super::put::{Kind, Saved, Sheet, Tick, Ticks, below, label, name_field, permission_ticks, permissions};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::frame::Area;
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

pub(super) struct PermissionSets;

impl Kind for PermissionSets {
    type View = PermissionSet;
    const NOUN: &'static str = "permission set";
    const LEANT_ON: bool = true;

    fn path(name: &str) -> String {
        below("permission-sets", name)
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<PermissionSet, Error> {
        console.host.permission_set(&entered.actor, name)
    }

    fn change(view: &PermissionSet) -> (u64, &str, Timestamp) {
        (view.version, &view.updated_by, view.updated_at)
    }

    fn stored(view: &PermissionSet) -> Posted {
        let permissions = view.permissions.iter().map(|one| ("permission", one.name()));
        let principals = view.principals.iter().map(|one| ("principal", one.as_str()));
        Posted::of([("label", view.label.as_str())].into_iter().chain(permissions).chain(principals))
    }

    fn sheet(
        console: &Console,
        entered: &Entered,
        view: Option<&PermissionSet>,
        typed: &Posted,
    ) -> Result<Sheet, Failed> {
        let mut fields = name_field(view.is_none(), typed, "Kebab-case, as in `flow-builders`.");
        fields.push(Field::own("label", "Label", "text", typed.get("label")));
        let given = permissions(typed);
        // Something has to be ticked before anybody ticked anything.
        let untouched = view.is_none() && !typed.has("name");
        let on = |one: Permission| given.contains(&one) || (untouched && one == Permission::ViewConnections);
        let mut groups = vec![permission_ticks("What its users may do", on)];
        groups.extend(principal_ticks(console, entered, typed)?);
        Ok(Sheet { form: Form::new(fields), groups, back: Area::Setup.path().into(), ..Sheet::default() })
    }

    fn what_if(
        _console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        let put = given(entered, key, posted, expected);
        Ok(Some(WhatIf::PutPermissionSet { name: key.to_owned(), put }))
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = given(entered, key, posted, expected);
        let set = console.host.put_permission_set(&entered.actor, key, put).await?;
        Ok(Saved::new(format!("The permission set {} is saved", set.name), Area::Setup.path()))
    }
}

/// What was typed.
fn given(entered: &Entered, key: &str, posted: &Posted, expected: Expected) -> PutPermissionSet {
    // Whoever does not see principals leaves them as they are.
    let sees = entered.may(Permission::ViewConnections);
    PutPermissionSet {
        label: label(posted, key),
        permissions: Some(permissions(posted)),
        principals: sees.then(|| posted.all("principal").map(str::to_owned).collect()),
        expected,
    }
}

/// None where there is no principal, or none that this person may see.
fn principal_ticks(console: &Console, entered: &Entered, typed: &Posted) -> Result<Option<Ticks>, Failed> {
    if !entered.may(Permission::ViewConnections) {
        return Ok(None);
    }
    let ticks = console.host.principals(&entered.actor)?.into_iter().map(|one| {
        let whose = match one.kind {
            PrincipalKind::Named => "one for everybody",
            PrincipalKind::PerUser => "each user an own one",
        };
        let named = if one.label == one.name { one.name.clone() } else { format!("{} ({})", one.label, one.name) };
        let on = typed.all("principal").any(|name| name == one.name);
        Tick::new("principal", one.name, format!("{named}, of {}: {whose}", one.external_credential), on)
    });
    let ticks: Vec<_> = ticks.collect();
    let help = "Connections of its users may go by named credentials with these principals.";
    Ok((!ticks.is_empty()).then_some(Ticks { id: "principals", label: "Principals that it opens", help, ticks }))
}
