//! Splits a query into words, texts, numbers and signs.

use crate::Fault;

/// Longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;

/// A token.
#[derive(Clone, PartialEq, Debug)]
pub enum Token {
    /// A name or keyword; a path such as `properties.reported.x` is one word.
    Word(String),
    /// A quoted text.
    Text(String),
    /// A number.
    Number(f64),
    /// One of `= != <> < <= > >= ( ) [ ] , *`.
    Sign(&'static str),
}

const SIGNS: [&str; 13] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", "*"];

/// Splits a query.
pub fn tokens(query: &str) -> Result<Vec<Token>, Fault> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(Fault::invalid(format!("The query is longer than {QUERY_BYTES_MAX} bytes.")));
    }
    let mut rest = query.trim_start();
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' => text(rest, first)?,
            '-' | '0'..='9' => number(rest)?,
            _ if is_name(first) => word(rest),
            _ => sign(rest)?,
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-' | '@')
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn word(rest: &str) -> (Token, &str) {
    let (word, mut after) = split_while(rest, is_name);
    let mut word = word.to_owned();
    // tags['a b'] and tags["a b"] name members that are no plain words.
    while let Some(inner) = after.strip_prefix('[') {
        let Some(quote) = inner.chars().next().filter(|c| matches!(c, '\'' | '"')) else { break };
        let Some((name, end)) = inner.get(1..).and_then(|inner| inner.split_once(quote)) else { break };
        let Some(end) = end.strip_prefix(']') else { break };
        word.push('.');
        word.push_str(name);
        let (more, end) = split_while(end, is_name);
        word.push_str(more);
        after = end;
    }
    (Token::Word(word), after)
}

fn number(rest: &str) -> Result<(Token, &str), Fault> {
    let (digits, after) = split_while(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
    let number = digits.parse().map_err(|_| Fault::invalid(format!("The query has an unreadable number at {digits:?}.")))?;
    Ok((Token::Number(number), after))
}

fn text(rest: &str, quote: char) -> Result<(Token, &str), Fault> {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            // A doubled quote stands for itself.
            _ if c == quote && chars.peek().is_some_and(|(_, next)| *next == quote) => {
                chars.next();
                value.push(quote);
            }
            _ if c == quote => return Ok((Token::Text(value), rest.get(at.saturating_add(1)..).unwrap_or_default())),
            _ => value.push(c),
        }
    }
    Err(Fault::invalid("The query has a text without its closing quote."))
}

fn sign(rest: &str) -> Result<(Token, &str), Fault> {
    let found = SIGNS.iter().find_map(|sign| rest.strip_prefix(sign).map(|after| (Token::Sign(sign), after)));
    found.ok_or_else(|| Fault::invalid(format!("The query cannot be read from {:?} on.", rest.chars().take(16).collect::<String>())))
}
