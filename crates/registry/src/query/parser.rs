//! The grammar, by recursive descent.

use serde_json::Value;

use super::{condition::Condition, lexer::Token};
use crate::kind::Kind;

/// Comparisons in one query.
const COMPARISONS_MAX: usize = 64;
/// Parentheses and NOTs within each other: bounds the recursion.
const DEPTH_MAX: usize = 16;

/// `SELECT * [FROM name] [WHERE condition]`
pub(super) fn query(tokens: &[Token], kind: Kind) -> Result<Option<Condition>, String> {
    let mut parser = Parser { rest: tokens, comparisons: 0 };
    parser.expect_keyword("SELECT")?;
    if !parser.take_sign("*") {
        return Err("only SELECT * is served".into());
    }
    if parser.take_keyword("FROM") {
        parser.source(kind)?;
    }
    let condition = if parser.take_keyword("WHERE") { Some(parser.any(0)?) } else { None };
    match parser.rest.first() {
        None => Ok(condition),
        Some(token) => Err(format!("{} is not expected there", describe(token))),
    }
}

struct Parser<'a> {
    rest: &'a [Token],
    comparisons: usize,
}

impl<'a> Parser<'a> {
    fn source(&mut self, kind: Kind) -> Result<(), String> {
        let name = match kind {
            Kind::Individual => "enrollments",
            Kind::Group => "enrollmentGroups",
        };
        if self.take_keyword(name) { Ok(()) } else { Err(format!("FROM must be followed by {name}")) }
    }

    fn any(&mut self, depth: usize) -> Result<Condition, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take_keyword("OR") {
            parts.push(self.all(depth)?);
        }
        Ok(Condition::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, String> {
        let mut parts = vec![self.single(depth)?];
        while self.take_keyword("AND") {
            parts.push(self.single(depth)?);
        }
        Ok(Condition::All(parts))
    }

    fn single(&mut self, depth: usize) -> Result<Condition, String> {
        if depth >= DEPTH_MAX {
            return Err(format!("it nests deeper than {DEPTH_MAX}"));
        }
        if self.take_keyword("NOT") {
            return Ok(Condition::Not(Box::new(self.single(depth + 1)?)));
        }
        if self.take_sign("(") {
            let inner = self.any(depth + 1)?;
            return if self.take_sign(")") { Ok(inner) } else { Err("a parenthesis is not closed".into()) };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(format!("it has more than {COMPARISONS_MAX} comparisons"));
        }
        let Some(Token::Word(path)) = self.next() else { return Err("the name of a member is expected".into()) };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("a member's path has an empty part".into());
        }
        let equal = match self.next() {
            Some(Token::Sign("=")) => true,
            Some(Token::Sign("!=")) => false,
            _ => return Err("= or != is expected after a member".into()),
        };
        Ok(Condition::Compare { path, equal, literal: self.literal()? })
    }

    fn literal(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Token::Literal(value)) => Ok(value.clone()),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => Ok(Value::Null),
            _ => Err("a text in quotes, a number, true, false or null is expected".into()),
        }
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<(), String> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(format!("{keyword} is expected")) }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let there = matches!(self.rest.first(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        if there {
            self.next();
        }
        there
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.rest.first(), Some(Token::Sign(found)) if *found == sign);
        if there {
            self.next();
        }
        there
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(word) => word.clone(),
        Token::Literal(value) => value.to_string(),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}
