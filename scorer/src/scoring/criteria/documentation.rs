//! Whether there is text for people: words, headings, code examples.

use pulldown_cmark::{Event, Parser, Tag};

use super::{Evidence, Finding, Outcome, ScoringError, counted};

/// How much of each document is read, in bytes: far more than any rubric asks for. The Markdown parser cannot be
/// stopped at the deadline, so it is given little at a time.
const MAX_READ: usize = 64 * 1024;

/// How many documents are read.
const MAX_DOCUMENTS: usize = 50;

/// What there is in all documents together.
#[derive(Debug, Default, PartialEq)]
struct Amounts {
    words: usize,
    headings: usize,
    code_examples: usize,
}

/// One of the amounts: what it is called, its share, what there is, what is wanted, and advice.
struct Part {
    name: &'static str,
    share: f64,
    found: usize,
    wanted: u32,
    advice: &'static str,
}

/// Half of the points for words, a quarter each for headings and code examples; shared out among what is asked for.
pub(super) fn apply(
    words: u32,
    headings: u32,
    code_examples: u32,
    evidence: &Evidence<'_>,
) -> Result<Outcome, ScoringError> {
    let mut amounts = Amounts::default();
    for text in evidence.documents().take(MAX_DOCUMENTS) {
        evidence.deadline.check()?;
        amounts.add(text);
    }
    let parts = [
        Part {
            name: "word",
            share: 0.5,
            found: amounts.words,
            wanted: words,
            advice: "say what the program is for, how to run it, and what to expect",
        },
        Part {
            name: "heading",
            share: 0.25,
            found: amounts.headings,
            wanted: headings,
            advice: "give the parts headings, so that they can be found",
        },
        Part {
            name: "code example",
            share: 0.25,
            found: amounts.code_examples,
            wanted: code_examples,
            advice: "show in a code block how it is used",
        },
    ];
    let asked = || parts.iter().filter(|part| part.wanted > 0);
    let whole: f64 = asked().map(|part| part.share).sum();
    let reached = |part: &Part| (part.found as f64 / f64::from(part.wanted)).min(1.0);
    let credit = asked().map(|part| part.share * reached(part)).sum::<f64>() / whole;
    let output = parts.iter().map(|part| counted(part.found, part.name)).collect::<Vec<_>>().join(", ");
    let missing = amounts == Amounts::default();
    let finding = |part: &Part| Finding {
        gain: part.share * (1.0 - reached(part)) / whole,
        text: format!(
            "The documentation has {} (aim for {}): {}.",
            counted(part.found, part.name),
            part.wanted,
            part.advice
        ),
    };
    let findings = if missing {
        let text =
            "There is no documentation: add a README.md that says what the program is for and how to run it.";
        vec![Finding { gain: 1.0, text: text.to_owned() }]
    } else {
        asked().map(finding).filter(|finding| finding.gain > 0.0).collect()
    };
    Ok(Outcome { credit: Some(credit), output: format!("{output}."), findings })
}

impl Amounts {
    fn add(&mut self, text: &str) {
        let mut end = text.len().min(MAX_READ);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut in_code = false;
        for event in Parser::new(&text[..end]) {
            match event {
                Event::Start(Tag::Heading { .. }) => self.headings += 1,
                Event::Start(Tag::CodeBlock(_)) => {
                    self.code_examples += 1;
                    in_code = true;
                }
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_code = false,
                Event::Text(text) if !in_code => self.words += words(&text),
                _ => {}
            }
        }
    }
}

/// What has a letter is a word: rules of dashes and numbers in tables are not.
fn words(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(text: &str) -> Amounts {
        let mut amounts = Amounts::default();
        amounts.add(text);
        amounts
    }

    #[test]
    fn words_headings_and_examples_are_counted() {
        let text = "# Order book\n\nReads 3 orders -- quickly.\n\n## Use\n\n```sh\nrun it now\n```\n\n    indented code\n";
        assert_eq!(amounts(text), Amounts { words: 6, headings: 2, code_examples: 2 });
    }

    #[test]
    fn underlined_headings_count_so_that_rst_is_read_too() {
        assert_eq!(amounts("Title\n=====\n\nText\n").headings, 1);
    }

    #[test]
    fn hostile_markdown_is_read_in_good_time() {
        let start = std::time::Instant::now();
        for unit in [">", "[", "*a ", "- ", "<", "`", "![](", "_*", "&", "\\", "(a", "[a](<b"] {
            amounts(&unit.repeat(1 << 20));
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
