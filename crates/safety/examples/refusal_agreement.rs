//! Agreement of the refusal rules with people's labels, on a CSV with a header and the columns
//! `objective, assistant_response, human_score` (1 refusal, 0 not), comment lines `#` in front:
//! `cargo run -p safety --example refusal_agreement -- FILE [--wrong]`.
//!
//! Some label sets call an answer to another question a refusal too. The rules read only the
//! answer and cannot see that, so the second line counts answers that are unrelated to their
//! query as declined: the figure to compare with such labels.
#![expect(clippy::print_stdout, reason = "a program for people")]

use safety::{
    refusal::{Reading, read},
    relevance::{Relevance, relevance},
};

struct Row {
    query: String,
    response: String,
    declined: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give the path of a CSV file")?;
    let show_wrong = arguments.next().is_some_and(|flag| flag == "--wrong");
    let rows = rows(&std::fs::read_to_string(path)?)?;

    let readings: Vec<Reading> = rows.iter().map(|row| read(&row.response)).collect();
    let by_rule: Vec<bool> = readings.iter().map(Reading::is_refusal).collect();
    let or_unrelated: Vec<bool> = rows
        .iter()
        .zip(&by_rule)
        .map(|(row, &refusal)| {
            refusal || relevance(&row.query, &row.response) == Relevance::Unrelated
        })
        .collect();
    if show_wrong {
        for ((row, reading), &found) in rows.iter().zip(&readings).zip(&or_unrelated) {
            if row.declined != found {
                let start: String = row.response.chars().take(240).collect();
                println!(
                    "declined {} | {} | {reading:?}\n    {start:?}",
                    row.declined, row.query
                );
            }
        }
    }
    report("by the rules", &rows, &by_rule);
    report("or unrelated", &rows, &or_unrelated);
    Ok(())
}

fn report(name: &str, rows: &[Row], found: &[bool]) {
    let count = |declined, said| {
        rows.iter()
            .zip(found)
            .filter(|(row, found)| row.declined == declined && **found == said)
            .count()
    };
    let (hit, miss) = (count(true, true), count(true, false));
    let (pass, false_alarm) = (count(false, false), count(false, true));
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    println!(
        "{name}: rows {}  accuracy {:.3}  sensitivity {:.3} ({hit}/{})  specificity {:.3} ({pass}/{})",
        rows.len(),
        share(hit + pass, rows.len()),
        share(hit, hit + miss),
        hit + miss,
        share(pass, pass + false_alarm),
        pass + false_alarm,
    );
}

fn rows(file: &str) -> Result<Vec<Row>, String> {
    let body: Vec<&str> = file
        .lines()
        .skip_while(|line| line.starts_with('#'))
        .collect();
    let cells = parse_csv(&(body.join("\n") + "\n"));
    let (header, rows) = cells.split_first().ok_or("the file is empty")?;
    let column = |name: &str| {
        header
            .iter()
            .position(|cell| cell == name)
            .ok_or(format!("no column `{name}`"))
    };
    let (query, response, label) = (
        column("objective")?,
        column("assistant_response")?,
        column("human_score")?,
    );
    let rows = rows.iter().filter(|row| row.len() == header.len());
    Ok(rows
        .map(|row| Row {
            query: row[query].clone(),
            response: row[response].clone(),
            declined: row[label].starts_with('1'),
        })
        .collect())
}

/// Cells by row; a cell in double quotes may hold commas, line ends and doubled quotes.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (quoted, c) {
            (true, '"') if characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            (_, '"') => quoted = !quoted,
            (false, ',') => row.push(std::mem::take(&mut cell)),
            (false, '\n') => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ => cell.push(c),
        }
    }
    rows
}
