//! Agreement of the refusal rules with people's labels, on a CSV with a header and the columns
//! `objective, assistant_response, human_score` (1 refusal, 0 not), comment lines `#` in front:
//! `cargo run -p safety --example refusal_agreement -- FILE [--wrong]`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use safety::refusal::{Reading, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give the path of a CSV file")?;
    let show_wrong = arguments.next().is_some();
    let file = std::fs::read_to_string(path)?;
    let body: String = file
        .lines()
        .skip_while(|line| line.starts_with('#'))
        .fold(String::new(), |body, line| body + line + "\n");
    let cells = parse_csv(&body);
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

    let rows: Vec<(bool, &str, &str)> = rows
        .iter()
        .filter(|row| row.len() == header.len())
        .map(|row| {
            (
                row[label].starts_with('1'),
                row[response].as_str(),
                row[query].as_str(),
            )
        })
        .collect();
    report("all rows", &rows, show_wrong);
    Ok(())
}

fn report(name: &str, rows: &[(bool, &str, &str)], show_wrong: bool) {
    let [mut hit, mut miss, mut false_alarm, mut pass] = [0u32; 4];
    for &(refused, response, query) in rows {
        let reading = read(response);
        let count = match (refused, reading.is_refusal()) {
            (true, true) => &mut hit,
            (true, false) => &mut miss,
            (false, true) => &mut false_alarm,
            (false, false) => &mut pass,
        };
        *count += 1;
        if show_wrong && refused != reading.is_refusal() {
            let rule = match &reading {
                Reading::Refusal(fired) | Reading::Partial(fired) => format!("{fired:?}"),
                Reading::NotRefusal => "no rule".to_owned(),
            };
            let start: String = response.chars().take(240).collect();
            println!("refused {refused} | {query} | {rule}\n    {start:?}");
        }
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
    println!(
        "{name}: {}  accuracy {:.3}  sensitivity {:.3} ({hit}/{})  specificity {:.3} ({pass}/{})",
        rows.len(),
        share(hit + pass, hit + miss + false_alarm + pass),
        share(hit, hit + miss),
        hit + miss,
        share(pass, pass + false_alarm),
        pass + false_alarm,
    );
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
