//! The table for a terminal.

use super::{Checked, Report, Verdict};
use crate::claims::Finding;
use std::fmt::Write;

/// Widest line.
const WIDTH: usize = 110;
const INDENT: usize = 18;

/// Claim, verdict, statement; below each, its evidence or what violates it.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for checked in &report.claims {
        row(&mut out, checked);
    }
    let count = |verdict| {
        report
            .claims
            .iter()
            .filter(|checked| checked.verdict == verdict)
            .count()
    };
    let inputs = if report.image {
        "system.xml and the image's capDL"
    } else {
        "system.xml alone: no image was given"
    };
    line(
        &mut out,
        "",
        &format!(
            "{} claims hold, {} violated, {} not claimed ({} configuration, {inputs})",
            count(Verdict::Holds),
            count(Verdict::Violated),
            count(Verdict::NotClaimed),
            report.configuration
        ),
        0,
    );
    out
}

fn row(out: &mut String, checked: &Checked) {
    let head = format!("{:<4}{:<14}", checked.claim.id(), checked.verdict.text());
    line(out, &head, &checked.statement, INDENT);
    for (input, found) in checked.findings() {
        finding(out, input, found);
    }
    out.push('\n');
}

fn finding(out: &mut String, input: &str, finding: &Finding) {
    for text in &finding.violations {
        line(
            out,
            &format!("{:INDENT$}✗ ", ""),
            &format!("{input}{text}"),
            INDENT + 2,
        );
    }
    for text in &finding.not_claimed {
        line(
            out,
            &format!("{:INDENT$}! ", ""),
            &format!("{input}{text}"),
            INDENT + 2,
        );
    }
    if finding.violations.is_empty() && !finding.evidence.is_empty() {
        let evidence = format!("{input}{}", finding.evidence.join("; "));
        line(out, &" ".repeat(INDENT + 2), &evidence, INDENT + 2);
    }
}

/// A line after `head`, wrapped at words.
fn line(out: &mut String, head: &str, text: &str, indent: usize) {
    out.push_str(head);
    let mut column = head.chars().count();
    let mut first = true;
    for word in text.split(' ') {
        let width = word.chars().count();
        if !first && column + 1 + width > WIDTH {
            // Writing to a string does not fail.
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if !first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
        first = false;
    }
    out.push('\n');
}
