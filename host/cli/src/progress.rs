//! How far a long piece of work is: a bar on a terminal, plain lines elsewhere, nothing on standard output.

use std::io::IsTerminal as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::output::Output;
use crate::show::plain;

/// One piece of work that takes a while.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    output: Output,
    bar: ProgressBar,
}

impl Work {
    /// Work of which nobody knows the end.
    pub(crate) fn begin(output: Output, what: &str) -> Self {
        Self::with(output, ProgressBar::new_spinner(), "{spinner:.cyan} {msg} {elapsed:.dim}", what)
    }

    /// Work on so many bytes.
    pub(crate) fn on_bytes(output: Output, what: &str, bytes: u64) -> Self {
        Self::with(
            output,
            ProgressBar::new(bytes),
            "{spinner:.cyan} {msg} {bar:24.cyan/dim} {bytes}/{total_bytes}",
            what,
        )
    }

    fn with(output: Output, bar: ProgressBar, template: &str, what: &str) -> Self {
        let what = plain(what).into_owned();
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(template).expect("the templates above are legal");
            bar.set_style(style.tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]));
            bar.set_message(what);
            bar.enable_steady_tick(Duration::from_millis(90));
        } else {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
            output.note(&format!("{what} …"));
        }
        Self { output, bar }
    }

    /// So many bytes more.
    pub(crate) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// What it is at now.
    pub(crate) fn at(&self, what: &str) {
        if self.bar.is_hidden() {
            self.output.note(&format!("  {}", plain(what)));
        } else {
            self.bar.set_message(plain(what).into_owned());
        }
    }

    /// It is done; one line stays.
    pub(crate) fn done(self, said: &str) {
        self.bar.finish_and_clear();
        self.output.note(&format!("{} {}", console::style("✓").for_stderr().green(), plain(said)));
    }

    /// It failed; why is said elsewhere.
    pub(crate) fn gone(self) {
        self.bar.finish_and_clear();
    }
}

/// A reader as a stream of chunks, each counted as it passes.
pub(crate) fn chunks(
    reader: impl AsyncRead + Send + 'static,
    count: impl Fn(u64) + Send + 'static,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    ReaderStream::with_capacity(reader, 64 * 1024).inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            count(chunk.len() as u64);
        }
    })
}
