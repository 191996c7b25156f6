//! Reads a query by recursive descent; the depth of a condition is bounded, since queries come from outside.

use serde_json::Value;

use super::{
    Comparison, Condition, Function, Member, Operand, Query, Select,
    token::{Token, tokens},
};
use crate::Fault;

/// Deepest nesting of a condition, and longest chain of AND and OR.
pub const CONDITION_DEPTH_MAX: usize = 100;

/// Reads a query.
pub fn parse(query: &str) -> Result<Query, Fault> {
    let mut parser = Parser { tokens: tokens(query)?.into_iter().peekable(), alias: None, depth: 0 };
    parser.query()
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    /// The name that FROM gives the collection.
    alias: Option<String>,
    depth: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, Fault> {
        self.expect_word("SELECT")?;
        let select = self.select()?;
        self.expect_word("FROM")?;
        self.from()?;
        let condition = if self.take_word("WHERE") { Some(self.any()?) } else { None };
        if let Some(token) = self.tokens.next() {
            return Err(Fault::invalid(format!("The query goes on unexpectedly with {token:?}.")));
        }
        Ok(Query { select: self.without_alias_in(select), condition })
    }

    fn select(&mut self) -> Result<Select, Fault> {
        if self.take_sign("*") {
            return Ok(Select::All);
        }
        if self.peek_word("COUNT") {
            self.tokens.next();
            self.expect_sign("(")?;
            self.take_sign("*");
            self.expect_sign(")")?;
            let name = if self.take_word("AS") { self.word("a name after AS")? } else { "count".to_owned() };
            return Ok(Select::Count(name));
        }
        let mut members = vec![self.member()?];
        while self.take_sign(",") {
            members.push(self.member()?);
        }
        Ok(Select::Members(members))
    }

    fn member(&mut self) -> Result<Member, Fault> {
        let path = split(&self.word("a member to select")?);
        let name = if self.take_word("AS") { self.word("a name after AS")? } else { path.last().cloned().unwrap_or_default() };
        Ok(Member { path, name })
    }

    fn from(&mut self) -> Result<(), Fault> {
        let collection = self.word("a collection after FROM")?;
        if !collection.eq_ignore_ascii_case("devices") {
            return Err(Fault::invalid(format!("FROM {collection} is not offered, only FROM devices.")));
        }
        self.take_word("AS");
        let names_alias = matches!(self.tokens.peek(), Some(Token::Word(word)) if !["WHERE", "GROUP", "ORDER"].iter().any(|key| word.eq_ignore_ascii_case(key)));
        self.alias = if names_alias { Some(self.word("a name")?) } else { None };
        Ok(())
    }

    fn without_alias_in(&self, select: Select) -> Select {
        match select {
            Select::Members(members) => {
                Select::Members(members.into_iter().map(|member| Member { path: self.without_alias(member.path), ..member }).collect())
            }
            select => select,
        }
    }

    fn without_alias(&self, mut path: Vec<String>) -> Vec<String> {
        let is_alias = |first: &String| first == "devices" || Some(first) == self.alias.as_ref();
        if path.len() > 1 && path.first().is_some_and(is_alias) {
            path.remove(0);
        }
        path
    }

    fn any(&mut self) -> Result<Condition, Fault> {
        let mut left = self.all()?;
        while self.take_word("OR") {
            self.deeper()?;
            left = Condition::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Condition, Fault> {
        let mut left = self.not()?;
        while self.take_word("AND") {
            self.deeper()?;
            left = Condition::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    /// Never given back: it bounds the tree's depth as well as the parser's own.
    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > CONDITION_DEPTH_MAX {
            return Err(Fault::invalid(format!("The condition has more than {CONDITION_DEPTH_MAX} parts.")));
        }
        Ok(())
    }

    fn not(&mut self) -> Result<Condition, Fault> {
        if self.take_word("NOT") {
            self.deeper()?;
            return Ok(Condition::Not(Box::new(self.not()?)));
        }
        if self.take_sign("(") {
            self.deeper()?;
            let inner = self.any()?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, Fault> {
        let function = self.tokens.peek().and_then(|token| match token {
            Token::Word(name) => function(name),
            _ => None,
        });
        if let Some(function) = function {
            self.tokens.next();
            return self.test(function);
        }
        let left = self.operand()?;
        if self.take_word("IN") {
            return Ok(Condition::Among(left, self.list()?));
        }
        if self.take_word("NIN") {
            return Ok(Condition::Not(Box::new(Condition::Among(left, self.list()?))));
        }
        let comparison = match self.tokens.next() {
            Some(Token::Sign("=")) => Comparison::Equal,
            Some(Token::Sign("!=" | "<>")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Err(Fault::invalid("The query lacks a comparison.")),
        };
        Ok(Condition::Compare(left, comparison, self.operand()?))
    }

    fn test(&mut self, function: Function) -> Result<Condition, Fault> {
        self.expect_sign("(")?;
        let mut operands = vec![self.operand()?];
        while self.take_sign(",") {
            operands.push(self.operand()?);
        }
        self.expect_sign(")")?;
        let wanted = if matches!(function, Function::StartsWith | Function::EndsWith | Function::Contains) { 2 } else { 1 };
        if operands.len() != wanted {
            return Err(Fault::invalid(format!("A function of the query takes {wanted} arguments.")));
        }
        Ok(Condition::Test(function, operands))
    }

    fn list(&mut self) -> Result<Vec<Operand>, Fault> {
        self.expect_sign("[")?;
        let mut items = vec![self.operand()?];
        while self.take_sign(",") {
            items.push(self.operand()?);
        }
        self.expect_sign("]")?;
        Ok(items)
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(Operand::Literal(text.into())),
            Some(Token::Number(number)) => Ok(Operand::Literal(number.into())),
            Some(Token::Word(word)) => Ok(match word.to_ascii_lowercase().as_str() {
                "true" => Operand::Literal(true.into()),
                "false" => Operand::Literal(false.into()),
                "null" => Operand::Literal(Value::Null),
                _ => Operand::Path(self.without_alias(split(&word))),
            }),
            other => Err(Fault::invalid(format!("The query lacks a value before {other:?}."))),
        }
    }

    fn word(&mut self, what: &str) -> Result<String, Fault> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            _ => Err(Fault::invalid(format!("The query lacks {what}."))),
        }
    }

    fn peek_word(&mut self, wanted: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted))
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted))).is_some()
    }

    fn take_sign(&mut self, wanted: &'static str) -> bool {
        self.tokens.next_if_eq(&Token::Sign(wanted)).is_some()
    }

    fn expect_word(&mut self, wanted: &str) -> Result<(), Fault> {
        if self.take_word(wanted) { Ok(()) } else { Err(Fault::invalid(format!("The query lacks {wanted}."))) }
    }

    fn expect_sign(&mut self, wanted: &'static str) -> Result<(), Fault> {
        if self.take_sign(wanted) { Ok(()) } else { Err(Fault::invalid(format!("The query lacks {wanted}"))) }
    }
}

fn split(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

fn function(name: &str) -> Option<Function> {
    Some(match name.to_ascii_lowercase().as_str() {
        "is_defined" => Function::IsDefined,
        "is_null" => Function::IsNull,
        "is_string" => Function::IsString,
        "is_number" => Function::IsNumber,
        "is_bool" => Function::IsBool,
        "is_object" => Function::IsObject,
        "startswith" | "starts_with" => Function::StartsWith,
        "endswith" | "ends_with" => Function::EndsWith,
        "contains" => Function::Contains,
        _ => return None,
    })
}
