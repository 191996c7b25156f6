//! From a query's text to words, literals and signs.

use serde_json::{Number, Value};

/// A piece of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword or the path of a member.
    Word(String),
    /// A text or number. `true`, `false` and `null` are words until the parser meets them in a literal's place.
    Literal(Value),
    /// `* = != ( )`; `<>` is read as `!=`.
    Sign(&'static str),
}

/// Splits a query. A trailing semicolon is dropped.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let text = text.trim();
    let mut rest = text.strip_suffix(';').unwrap_or(text).trim_end();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        let (token, after) = token(first, rest)?;
        tokens.push(token);
        rest = after;
    }
    Ok(tokens)
}

fn token(first: char, rest: &str) -> Result<(Token, &str), String> {
    for (written, sign) in [("!=", "!="), ("<>", "!="), ("=", "="), ("*", "*"), ("(", "("), (")", ")")] {
        if let Some(after) = rest.strip_prefix(written) {
            return Ok((Token::Sign(sign), after));
        }
    }
    match first {
        '\'' | '"' => quoted(first, rest),
        '-' | '0'..='9' => number(rest),
        letter if letter.is_alphabetic() || letter == '_' || letter == '$' => Ok(word(rest)),
        other => Err(format!("{other:?} is not expected")),
    }
}

/// A text in quotes; the quote itself is written twice within.
fn quoted(quote: char, rest: &str) -> Result<(Token, &str), String> {
    let mut text = String::new();
    let mut chars = rest.chars();
    chars.next();
    while let Some(next) = chars.next() {
        if next != quote {
            text.push(next);
        } else if chars.as_str().starts_with(quote) {
            chars.next();
            text.push(quote);
        } else {
            return Ok((Token::Literal(Value::String(text)), chars.as_str()));
        }
    }
    Err("a text has no closing quote".into())
}

fn number(rest: &str) -> Result<(Token, &str), String> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))).unwrap_or(rest.len());
    let (text, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let number: Number = text.parse().map_err(|_| format!("{text} is not a number"))?;
    Ok((Token::Literal(Value::Number(number)), after))
}

fn word(rest: &str) -> (Token, &str) {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '-'))).unwrap_or(rest.len());
    let (text, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    (Token::Word(text.to_owned()), after)
}
