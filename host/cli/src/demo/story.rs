//! How the tour is told: to a person step by step as it happens, to a script in one document.

use std::time::Instant;

use console::style;
use serde::Serialize;

use crate::exit::Error;
use crate::output::Output;
use crate::show::plain;

/// One step, as a script reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    pub(super) detail: String,
    pub(super) command: String,
    pub(super) milliseconds: u64,
}

/// What a step is about, before it is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chapter {
    /// For scripts.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    /// What a person would type for it.
    pub(super) command: &'static str,
}

/// The steps so far.
#[derive(Debug)]
pub(super) struct Story {
    output: Output,
    steps: Vec<Step>,
}

impl Story {
    pub(super) fn begin(output: Output, introduction: &str) -> Result<Self, Error> {
        let story = Self { output, steps: Vec::new() };
        story.tell(introduction)?;
        Ok(story)
    }

    /// Takes a step. Its words are what happened, or why it did not go as it should.
    pub(super) async fn step(
        &mut self,
        chapter: Chapter,
        step: impl Future<Output = Result<Vec<String>, Error>>,
    ) -> Result<(), Error> {
        let Chapter { name, title, command } = chapter;
        let number = self.steps.len() + 1;
        self.tell(&format!("\n{} {}", style(format!("{number:>2}.")).cyan().bold(), style(title).bold()))?;
        self.tell(&format!("    {}", style(format!("$ {command}")).dim()))?;
        // Only shown: nothing depends on it.
        let begun = Instant::now();
        let result = step.await;
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ok, lines) = match &result {
            Ok(lines) => (true, lines.clone()),
            Err(error) => (false, std::iter::once(error.to_string()).chain(error.details()).collect()),
        };
        let mark = if ok { style("✓").green() } else { style("✗").red() };
        for (index, line) in lines.iter().enumerate() {
            let mark = if index == 0 { mark.to_string() } else { " ".into() };
            self.tell(&format!("    {mark} {}", plain(line)))?;
        }
        self.steps.push(Step { name, ok, detail: lines.join("; "), command: command.to_owned(), milliseconds });
        result.map(|_told| ())
    }

    /// Ends it: one document for a script, a word of farewell for a person.
    pub(super) fn end(self, farewell: &str) -> Result<(), Error> {
        if self.output.is_json() {
            let ok = self.steps.iter().all(|step| step.ok);
            return self.output.json(&serde_json::json!({"steps": self.steps, "ok": ok}));
        }
        self.tell(farewell)
    }

    fn tell(&self, text: &str) -> Result<(), Error> {
        if self.output.is_json() { Ok(()) } else { self.output.data(text) }
    }
}
