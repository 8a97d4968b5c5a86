//! What is wrong with a configuration, and where.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::excerpt::Excerpt;

/// Whether the gate can start nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but this is hardly meant.
    Warning,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In the file.
    Line {
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// The line, without what could be secret.
        excerpt: Excerpt,
    },
    /// In this environment variable.
    Variable(String),
    /// Nowhere in particular.
    Document,
}

/// One thing that is wrong. None of its texts contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub location: Location,
    /// The key, like `site[0].route[2].price`; empty where none is concerned.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (line, column, variable) = match &self.location {
            Location::Line { line, column, .. } => (Some(line), Some(column), None),
            Location::Variable(name) => (None, None, Some(name)),
            Location::Document => (None, None, None),
        };
        let mut fields = serializer.serialize_struct("Problem", 7)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("help", &self.help)?;
        fields.serialize_field("line", &line)?;
        fields.serialize_field("column", &column)?;
        fields.serialize_field("variable", &variable)?;
        fields.end()
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Displays for people,
/// serializes for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file's name, as it was given.
    pub file: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Report {
    /// How many problems keep the gate from starting.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many do not.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            self.fmt_problem(problem, f)?;
            writeln!(f)?;
        }
        let plural = |count, word| match count {
            0 => format!("no {word}s"),
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        let (errors, warnings) = (self.errors(), self.warnings());
        write!(
            f,
            "{}: {}, {}",
            self.file,
            plural(errors, "error"),
            plural(warnings, "warning")
        )
    }
}

impl Report {
    fn fmt_problem(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", problem.message)?;
        let key = match problem.key.as_str() {
            "" => String::new(),
            key => format!(" ({key})"),
        };
        let mut margin = String::new();
        match &problem.location {
            Location::Line {
                line,
                column,
                excerpt,
            } => {
                margin = " ".repeat(line.to_string().len());
                writeln!(f, "{margin}--> {}:{line}:{column}{key}", self.file)?;
                writeln!(f, "{margin} |")?;
                writeln!(f, "{line} | {}", excerpt.text)?;
                writeln!(f, "{margin} | {}", excerpt.carets)?;
            }
            Location::Variable(name) => writeln!(f, "--> environment variable {name}{key}")?,
            Location::Document => writeln!(f, "--> {}{key}", self.file)?,
        }
        if let Some(help) = &problem.help {
            writeln!(f, "{margin} = help: {help}")?;
        }
        Ok(())
    }
}
