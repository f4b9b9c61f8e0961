//! The one place that writes: data to standard output, everything else to standard error.

use std::io::{IsTerminal as _, Write as _};

use console::style;
use serde::Serialize;

use crate::client::Document;
use crate::exit::Error;
use crate::show::plain;

/// What a person or a script wants to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables for people.
    #[default]
    Table,
    /// One JSON document: the API's answer.
    Json,
}

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, quiet: false }
    }

    /// The same without words beside the data.
    pub(crate) fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// The API's answer as it is, or what a person reads of it.
    pub(crate) fn document<T>(self, document: &Document<T>, table: impl FnOnce(&T) -> String) -> Result<(), Error> {
        match self.format {
            Format::Json => self.json(&document.json),
            Format::Table => self.data(&table(&document.view)),
        }
    }

    /// One JSON document.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::from)?;
        self.data(&text)
    }

    /// Text that ends in one line end.
    pub(crate) fn data(self, text: &str) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.trim_end_matches('\n').as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(())
    }

    /// Bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// What was done, for a person; a script has the document.
    pub(crate) fn done(self, text: &str) -> Result<(), Error> {
        match self.format {
            Format::Json => {
                self.note(text);
                Ok(())
            }
            Format::Table => self.data(text),
        }
    }

    /// A line beside the data.
    #[expect(clippy::print_stderr, reason = "the one output home")]
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// A way on.
    pub(crate) fn hint(self, text: &str) {
        self.note(&format!("{} {}", style("hint:").for_stderr().cyan(), plain(text)));
    }

    /// Something that is not as it should be and does not stop us.
    pub(crate) fn warn(self, text: &str) {
        self.note(&format!("{} {}", style("warning:").for_stderr().yellow(), plain(text)));
    }

    /// Why it did not work, in as many lines as it takes.
    pub(crate) fn error(self, error: &Error) {
        if matches!(error, Error::OutputClosed) {
            return;
        }
        self.note(&format!("{} {}", style("error:").for_stderr().red().bold(), plain(&error.to_string())));
        for line in error.details() {
            self.note(&format!("  {}", plain(&line)));
        }
        for hint in error.hints() {
            self.hint(&hint);
        }
    }
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
