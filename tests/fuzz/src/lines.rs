//! An input as lines of parameters, and what is left of it.

/// Reads line by line.
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(crate) fn of(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// The next line, with `\n`, `\r`, `\t`, `\0` and `\\` read as escapes. Empty where there is none.
    pub(crate) fn line(&mut self) -> String {
        let end = self.rest.iter().position(|&byte| byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        unescaped(&String::from_utf8_lossy(line))
    }

    /// Every further line up to one that says `--`, or to the end.
    pub(crate) fn until_break(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while !self.rest.is_empty() {
            match self.line() {
                line if line == "--" => break,
                line => lines.push(line),
            }
        }
        lines
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

fn unescaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

/// A text in pieces, as long as the pattern says: each letter is one length, from 0 to 15, over and over.
pub(crate) fn pieces<'a>(pattern: &'a str, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = pattern.bytes().map(|byte| usize::from(byte & 15)).cycle();
    let whole = pattern.bytes().all(|byte| byte & 15 == 0);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = if whole { rest.len() } else { lengths.next()?.min(rest.len()) };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        Some(piece)
    })
}
