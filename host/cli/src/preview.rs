//! `--dry-run`: what a change would do, asked in the place of making it.

use turnbuckle::Preview;

use crate::client::{Call, Document};
use crate::exit::Error;
use crate::output::Output;
use crate::show::preview as show;

/// Asks what this call would do, and says it. What would be refused ends as the refusal does.
pub(crate) async fn tell(call: Call<'_>, output: Output) -> Result<(), Error> {
    let document: Document<Preview> = call.query("dry-run", Some(true)).answer().await?;
    output.document(&document, show::preview)?;
    if !output.is_json() {
        output.hint("nothing was changed; leave --dry-run out to do it");
    }
    Ok(())
}
